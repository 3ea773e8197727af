// What the app may do, each right on the narrowest thing that has one.

param principalId string
param hostAccountName string
param dataAccountName string
param payloadContainerName string
param tokenTableName string
param namespaceName string
param consumedQueues array
param handedOverQueues array
param vaultName string
param insightsName string

// Ids of Azure's built-in roles, the same in every tenant.
var roles = {
  serviceBusDataReceiver: '4f6d3b9b-027b-4f4c-9142-0e5a2a2247e0'
  serviceBusDataSender: '69a216fc-b8fb-44d8-bc22-1f3c2cd27a39'
  storageBlobDataOwner: 'b7e6dc6d-f1e8-4753-8033-0f276bb0955b'
  storageBlobDataContributor: 'ba92f5b4-2d11-453d-a403-e96b0029c9fe'
  storageTableDataContributor: '0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3'
  keyVaultSecretsUser: '4633458b-17de-408a-b874-0445c86b69e6'
  monitoringMetricsPublisher: '3913510d-42f4-4e42-8a64-420c390055eb'
}

// An app sends to every queue: its own (what is to come again), dead letters, and what it hands over.
var deadLetterQueues = [for queue in consumedQueues: '${queue}-dlq']
var sentTo = concat(consumedQueues, deadLetterQueues, handedOverQueues)

resource namespace 'Microsoft.ServiceBus/namespaces@2024-01-01' existing = {
  name: namespaceName
}

resource consumed 'Microsoft.ServiceBus/namespaces/queues@2024-01-01' existing = [for queue in consumedQueues: {
  parent: namespace
  name: queue
}]

resource sent 'Microsoft.ServiceBus/namespaces/queues@2024-01-01' existing = [for queue in sentTo: {
  parent: namespace
  name: queue
}]

resource mayReceive 'Microsoft.Authorization/roleAssignments@2022-04-01' = [for (queue, index) in consumedQueues: {
  name: guid(namespace.id, queue, principalId, roles.serviceBusDataReceiver)
  scope: consumed[index]
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.serviceBusDataReceiver)
  }
}]

resource maySend 'Microsoft.Authorization/roleAssignments@2022-04-01' = [for (queue, index) in sentTo: {
  name: guid(namespace.id, queue, principalId, roles.serviceBusDataSender)
  scope: sent[index]
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.serviceBusDataSender)
  }
}]

// The Functions host keeps its leases and the package here.
resource hostAccount 'Microsoft.Storage/storageAccounts@2023-05-01' existing = {
  name: hostAccountName
}

resource mayHost 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(hostAccount.id, principalId, roles.storageBlobDataOwner)
  scope: hostAccount
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.storageBlobDataOwner)
  }
}

resource dataAccount 'Microsoft.Storage/storageAccounts@2023-05-01' existing = {
  name: dataAccountName

  resource blobs 'blobServices' existing = {
    name: 'default'

    resource payloads 'containers' existing = {
      name: payloadContainerName
    }
  }

  resource tables 'tableServices' existing = {
    name: 'default'

    resource tokens 'tables' existing = {
      name: tokenTableName
    }
  }
}

resource mayKeepPayloads 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(dataAccount::blobs::payloads.id, principalId, roles.storageBlobDataContributor)
  scope: dataAccount::blobs::payloads
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.storageBlobDataContributor)
  }
}

resource mayKeepTokens 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(dataAccount::tables::tokens.id, principalId, roles.storageTableDataContributor)
  scope: dataAccount::tables::tokens
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.storageTableDataContributor)
  }
}

resource vault 'Microsoft.KeyVault/vaults@2023-07-01' existing = {
  name: vaultName
}

resource mayReadSecrets 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(vault.id, principalId, roles.keyVaultSecretsUser)
  scope: vault
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.keyVaultSecretsUser)
  }
}

resource insights 'Microsoft.Insights/components@2020-02-02' existing = {
  name: insightsName
}

resource mayTell 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(insights.id, principalId, roles.monitoringMetricsPublisher)
  scope: insights
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.monitoringMetricsPublisher)
  }
}
