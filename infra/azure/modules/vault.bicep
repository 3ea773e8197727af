// The vault with the keys that tokens and credentials are sealed with. Who puts them there needs the role "Key Vault
// Secrets Officer", which this template gives to nobody.

param vaultName string
param location string

resource vault 'Microsoft.KeyVault/vaults@2023-07-01' = {
  name: vaultName
  location: location
  properties: {
    tenantId: subscription().tenantId
    sku: { family: 'A', name: 'standard' }
    enableRbacAuthorization: true
    enableSoftDelete: true
    enablePurgeProtection: true
  }
}

output vaultName string = vault.name
output uri string = vault.properties.vaultUri
