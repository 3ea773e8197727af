// The orders of examples/orders on Azure: a function app that serves the whole exchange, its queues, storage, vault,
// database and alerts. Nothing here holds a key: the app's managed identity opens every door.

targetScope = 'resourceGroup'

@description('What the names of all resources begin with.')
@minLength(3)
@maxLength(12)
param name string = 'orders'

@description('Where they are.')
param location string = resourceGroup().location

@description('Address of the shop\'s API.')
param shopUrl string

@description('Who administers the database, from Entra: the object id of a person, a group or a service principal.')
param databaseAdministratorId string

@description('That administrator\'s name, with which one signs in.')
param databaseAdministratorName string

@allowed(['User', 'Group', 'ServicePrincipal'])
param databaseAdministratorType string = 'User'

@description('Whether any service inside Azure may open a connection to the database. Without it, bring a network of your own.')
param databaseTakesAzureServices bool = true

@description('Id of the action group that hears of alerts; nobody does if it is empty.')
param actionGroupId string = ''

@description('Most instances of the app at once; each takes connections to the database.')
@minValue(1)
@maxValue(1000)
param maximumInstances int = 40

// The queues that functions of the exchange consume, each with a queue for its dead letters, and those that others do.
var consumedQueues = ['fetch-orders', 'orders-fetched', 'orders-canonical', 'intake']
var handedOverQueues = ['express-orders', 'standard-orders', 'unknown-orders']

var unique = uniqueString(resourceGroup().id, name)
var appName = '${name}-${unique}'

module monitoring 'modules/monitoring.bicep' = {
  name: 'monitoring'
  params: {
    name: name
    location: location
  }
}

module storage 'modules/storage.bicep' = {
  name: 'storage'
  params: {
    hostAccount: take('${toLower(replace(name, '-', ''))}host${unique}', 24)
    dataAccount: take('${toLower(replace(name, '-', ''))}data${unique}', 24)
    location: location
  }
}

module serviceBus 'modules/service-bus.bicep' = {
  name: 'service-bus'
  params: {
    namespaceName: '${name}-bus-${unique}'
    location: location
    consumedQueues: consumedQueues
    handedOverQueues: handedOverQueues
  }
}

module vault 'modules/vault.bicep' = {
  name: 'vault'
  params: {
    vaultName: take('${name}-kv-${unique}', 24)
    location: location
  }
}

module database 'modules/database.bicep' = {
  name: 'database'
  params: {
    serverName: '${name}-db-${unique}'
    location: location
    administratorId: databaseAdministratorId
    administratorName: databaseAdministratorName
    administratorType: databaseAdministratorType
    takesAzureServices: databaseTakesAzureServices
  }
}

module app 'modules/app.bicep' = {
  name: 'app'
  params: {
    appName: appName
    location: location
    packageContainerUrl: storage.outputs.packageContainerUrl
    maximumInstances: maximumInstances
    settings: {
      AzureWebJobsStorage__accountName: storage.outputs.hostAccountName
      AzureWebJobsStorage__credential: 'managedidentity'
      APPLICATIONINSIGHTS_CONNECTION_STRING: monitoring.outputs.insightsAddress
      APPLICATIONINSIGHTS_AUTHENTICATION_STRING: 'Authorization=AAD'
      API_EXCHANGE_SERVICE_BUS__fullyQualifiedNamespace: serviceBus.outputs.host
      API_EXCHANGE_STORAGE__blobServiceUri: storage.outputs.blobServiceUri
      API_EXCHANGE_STORAGE__tableServiceUri: storage.outputs.tableServiceUri
      API_EXCHANGE_PAYLOAD_CONTAINER: storage.outputs.payloadContainerName
      API_EXCHANGE_TOKEN_TABLE: storage.outputs.tokenTableName
      API_EXCHANGE_KEY_VAULT: vault.outputs.uri
      API_EXCHANGE_DATABASE_URL: 'postgresql://${appName}@${database.outputs.host}/exchange'
      API_EXCHANGE_DATABASE_IDENTITY: 'true'
      ORDERS_SHOP_URL: shopUrl
    }
  }
}

module rights 'modules/rights.bicep' = {
  name: 'rights'
  params: {
    principalId: app.outputs.principalId
    hostAccountName: storage.outputs.hostAccountName
    dataAccountName: storage.outputs.dataAccountName
    payloadContainerName: storage.outputs.payloadContainerName
    tokenTableName: storage.outputs.tokenTableName
    namespaceName: serviceBus.outputs.namespaceName
    consumedQueues: consumedQueues
    handedOverQueues: handedOverQueues
    vaultName: vault.outputs.vaultName
    insightsName: monitoring.outputs.insightsName
  }
}

module alerts 'modules/alerts.bicep' = {
  name: 'alerts'
  params: {
    name: name
    location: location
    namespaceId: serviceBus.outputs.namespaceId
    consumedQueues: consumedQueues
    insightsId: monitoring.outputs.insightsId
    actionGroupId: actionGroupId
  }
}

@description('The function app, to which the zip of `make package-azure` goes; also its login at the database.')
output appName string = app.outputs.appName

@description('Where orders are posted.')
output intakeUrl string = 'https://${app.outputs.host}/orders'

@description('The server of the database.')
output databaseHost string = database.outputs.host

@description('The vault that takes the keys of `api-exchange credentials new-key`.')
output vaultName string = vault.outputs.vaultName

@description('The namespace of the queues.')
output serviceBusHost string = serviceBus.outputs.host
