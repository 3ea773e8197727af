// The queues. The framework itself sends dead letters to <queue>-dlq, with the failure in them; the broker's own
// /$DeadLetterQueue is the net under that, for what ends its process again and again.

param namespaceName string
param location string
param consumedQueues array
param handedOverQueues array

var deadLetterQueues = [for queue in consumedQueues: '${queue}-dlq']

resource namespace 'Microsoft.ServiceBus/namespaces@2024-01-01' = {
  name: namespaceName
  location: location
  sku: { name: 'Standard', tier: 'Standard' }
  properties: {
    disableLocalAuth: true
    minimumTlsVersion: '1.2'
  }
}

resource consumed 'Microsoft.ServiceBus/namespaces/queues@2024-01-01' = [for queue in consumedQueues: {
  parent: namespace
  name: queue
  properties: {
    lockDuration: 'PT5M'
    maxDeliveryCount: 10
    defaultMessageTimeToLive: 'P14D'
    deadLetteringOnMessageExpiration: true
  }
}]

// Operators look through these again and again, which counts as delivery.
resource deadLetters 'Microsoft.ServiceBus/namespaces/queues@2024-01-01' = [for queue in deadLetterQueues: {
  parent: namespace
  name: queue
  properties: {
    lockDuration: 'PT5M'
    maxDeliveryCount: 2000
    defaultMessageTimeToLive: 'P90D'
    deadLetteringOnMessageExpiration: true
  }
}]

resource handedOver 'Microsoft.ServiceBus/namespaces/queues@2024-01-01' = [for queue in handedOverQueues: {
  parent: namespace
  name: queue
  properties: {
    lockDuration: 'PT1M'
    maxDeliveryCount: 10
    defaultMessageTimeToLive: 'P14D'
    deadLetteringOnMessageExpiration: true
  }
}]

output namespaceName string = namespace.name
output namespaceId string = namespace.id
output host string = '${namespace.name}.servicebus.windows.net'
