// Somebody should look: there is a dead letter, the broker gave up on a message, or the chores fail.

param name string
param location string
param namespaceId string
param consumedQueues array
param insightsId string
param actionGroupId string

var actions = empty(actionGroupId) ? [] : [{ actionGroupId: actionGroupId }]
var deadLetterQueues = [for queue in consumedQueues: '${queue}-dlq']

resource deadLetters 'Microsoft.Insights/metricAlerts@2018-03-01' = {
  name: '${name}-dead-letters'
  location: 'global'
  properties: {
    description: 'There are dead letters: api-exchange dlq list tells which'
    severity: 2
    enabled: true
    scopes: [namespaceId]
    evaluationFrequency: 'PT1M'
    windowSize: 'PT5M'
    autoMitigate: true
    criteria: {
      'odata.type': 'Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria'
      allOf: [
        {
          criterionType: 'StaticThresholdCriterion'
          name: 'letters'
          metricName: 'ActiveMessages'
          metricNamespace: 'Microsoft.ServiceBus/namespaces'
          timeAggregation: 'Maximum'
          operator: 'GreaterThan'
          threshold: 0
          dimensions: [{ name: 'EntityName', operator: 'Include', values: deadLetterQueues }]
        }
      ]
    }
    actions: actions
  }
}

resource givenUp 'Microsoft.Insights/metricAlerts@2018-03-01' = {
  name: '${name}-given-up-by-the-broker'
  location: 'global'
  properties: {
    description: 'Something ends its process again and again: it is in the queue\'s own /$DeadLetterQueue'
    severity: 1
    enabled: true
    scopes: [namespaceId]
    evaluationFrequency: 'PT1M'
    windowSize: 'PT5M'
    autoMitigate: true
    criteria: {
      'odata.type': 'Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria'
      allOf: [
        {
          criterionType: 'StaticThresholdCriterion'
          name: 'messages'
          metricName: 'DeadletteredMessages'
          metricNamespace: 'Microsoft.ServiceBus/namespaces'
          timeAggregation: 'Maximum'
          operator: 'GreaterThan'
          threshold: 0
          dimensions: [{ name: 'EntityName', operator: 'Include', values: ['*'] }]
        }
      ]
    }
    actions: actions
  }
}

resource chores 'Microsoft.Insights/scheduledQueryRules@2022-06-15' = {
  name: '${name}-chores-fail'
  location: location
  properties: {
    description: 'A chore failed three times within a quarter of an hour: what a dead process had committed waits'
    severity: 2
    enabled: true
    scopes: [insightsId]
    evaluationFrequency: 'PT5M'
    windowSize: 'PT15M'
    autoMitigate: true
    criteria: {
      allOf: [
        {
          query: 'requests | where operation_Name startswith "chore-" and success == false'
          timeAggregation: 'Count'
          operator: 'GreaterThan'
          threshold: 2
        }
      ]
    }
    actions: { actionGroups: empty(actionGroupId) ? [] : [actionGroupId] }
  }
}
