// Two accounts, so that the rights that the Functions host needs over its own do not reach what the exchange keeps:
// contents of large messages, and tokens. Neither takes an account key.

param hostAccount string
param dataAccount string
param location string

@description('Days after which contents of large messages go: longer than a message waits and its letter lies, 14 and 90.')
@minValue(105)
param keepPayloadsFor int = 120

var payloads = 'api-exchange-payloads'

resource host 'Microsoft.Storage/storageAccounts@2023-05-01' = {
  name: hostAccount
  location: location
  sku: { name: 'Standard_LRS' }
  kind: 'StorageV2'
  properties: {
    allowSharedKeyAccess: false
    allowBlobPublicAccess: false
    minimumTlsVersion: 'TLS1_2'
    supportsHttpsTrafficOnly: true
  }

  resource blobs 'blobServices' = {
    name: 'default'

    resource package 'containers' = {
      name: 'package'
    }
  }
}

resource data 'Microsoft.Storage/storageAccounts@2023-05-01' = {
  name: dataAccount
  location: location
  sku: { name: 'Standard_ZRS' }
  kind: 'StorageV2'
  properties: {
    allowSharedKeyAccess: false
    allowBlobPublicAccess: false
    minimumTlsVersion: 'TLS1_2'
    supportsHttpsTrafficOnly: true
  }

  resource blobs 'blobServices' = {
    name: 'default'

    resource payloadContainer 'containers' = {
      name: payloads
    }
  }

  resource tables 'tableServices' = {
    name: 'default'

    resource tokens 'tables' = {
      name: 'tokens'
    }
  }

  resource lifecycle 'managementPolicies' = {
    name: 'default'
    properties: {
      policy: {
        rules: [
          {
            name: 'remove-old-payloads'
            type: 'Lifecycle'
            enabled: true
            definition: {
              filters: {
                blobTypes: ['blockBlob']
                prefixMatch: ['${payloads}/']
              }
              actions: {
                baseBlob: {
                  delete: { daysAfterModificationGreaterThan: keepPayloadsFor }
                }
              }
            }
          }
        ]
      }
    }
  }
}

output hostAccountName string = host.name
output dataAccountName string = data.name
output packageContainerUrl string = '${host.properties.primaryEndpoints.blob}${host::blobs::package.name}'
output blobServiceUri string = data.properties.primaryEndpoints.blob
output tableServiceUri string = data.properties.primaryEndpoints.table
output payloadContainerName string = data::blobs::payloadContainer.name
output tokenTableName string = data::tables::tokens.name
