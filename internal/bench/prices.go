package main

// List prices in dollars, us-east-1 and arm64, without free tiers, as public
// pages had them that were looked up in November 2026. The price lists
// themselves are made by scripts and could not be read; where AWS says it on a
// page of its own, that is named.
const (
	pricesOf = "November 2026"

	lambdaRequest  = 0.20 / 1e6   // cloudchipr.com/blog/aws-lambda-pricing
	lambdaGBSecond = 0.0000133334 // the same
	writeUnit      = 0.625 / 1e6  // airbyte.com/data-engineering-resources/dynamodb-pricing, after the halving of November 2024
	readUnit       = 0.125 / 1e6  // the same
	httpRequest    = 1.00 / 1e6   // AWS whitepaper "Best practices for designing API Gateway private APIs", cost optimization
	sqsRequest     = 0.40 / 1e6   // factualminds.com/blog/amazon-sqs-pricing-64kb-rule-fifo-vs-standard
	schedulerRun   = 1.00 / 1e6   // cloudburn.io/blog/amazon-eventbridge-pricing; the first 14 million a month are free, and not counted so here
	pipeRequest    = 0.40 / 1e6   // the same: an event that passes the filter
	customEvent    = 1.00 / 1e6   // the same: an event of one's own, put on a bus
	logGigabyte    = 0.50         // factualminds.com/blog/amazon-cloudwatch-pricing-metrics-logs-alarms-dashboards
	dashboardMonth = 3.00         // the same; three of up to 50 metrics each are free (copies of aws.amazon.com/cloudwatch/pricing), which this one is too large for
	metricMonth    = 0.30         // a metric, and a value of a dimension: signoz.io/guides/cloudwatch-pricing
	alarmMonth     = 0.10         // a metric that an alarm looks at: an example of aws.amazon.com/cloudwatch/pricing ("$0.10 per alarm metric * 4"), in copies of it
	keyRequest     = 0.03 / 1e4   // usage.ai/blogs/aws/reserved-instances/dynamodb/encryption-cost; 20,000 a month are free, and not counted so here
	cognitoToken   = 2.25 / 1e3   // as in DEPLOYING.md, of 2025
	cognitoClient  = 6.00         // a month; the same
	// Free: events of AWS services on EventBridge (blog.awsfundamentals.com,
	// aws-eventbridge-pricing-guide), reads of a table's stream by Lambda (DynamoDB
	// developer guide, "Evaluate your DynamoDB streams usage"). Run Command on EC2
	// instances: not confirmed.

	// processorAt is the memory at which a function has one whole processor
	// (Lambda developer guide, "Configure Lambda function memory"); with less it
	// has a share that goes with the memory. One of this machine is taken for one
	// of Lambda's.
	processorAt = 1769.0
)
