package template

import (
	"maps"
	"slices"
)

// Table is a DynamoDB table, with the properties that CreateTable and UpdateTimeToLive need.
type Table struct {
	LogicalID    string
	Key          Key
	Attributes   map[string]string // every key attribute of table and indexes with its type: S, N or B
	Indexes      []Index           // global secondary indexes
	StreamView   string            // KEYS_ONLY, NEW_IMAGE, OLD_IMAGE or NEW_AND_OLD_IMAGES; "": no stream
	TTLAttribute string            // "": items do not expire
}

// Key names the key attributes; Range is "" if there is none.
type Key struct{ Hash, Range string }

// Index is a global secondary index.
type Index struct {
	Name       string
	Key        Key
	Projection string   // ALL, KEYS_ONLY or INCLUDE
	NonKey     []string // what INCLUDE adds to the keys
}

func (t *Template) addTable(p *properties) {
	table := Table{LogicalID: p.at, Key: key(p), Attributes: map[string]string{}}
	p.physicalName("TableName")
	p.ignore("BillingMode", "ContributorInsightsSpecification", "DeletionProtectionEnabled",
		"OnDemandThroughput", "PointInTimeRecoverySpecification", "ProvisionedThroughput", "ResourcePolicy",
		"SSESpecification", "TableClass", "Tags", "WarmThroughput")

	for _, a := range p.objects("AttributeDefinitions") {
		table.Attributes[a.required("AttributeName")] = a.required("AttributeType")
		if a.has("AttributeType") {
			a.choice("AttributeType", "S", "N", "B")
		}
		a.end()
	}
	for _, i := range p.objects("GlobalSecondaryIndexes") {
		index := Index{Name: i.required("IndexName"), Key: key(i)}
		projection := i.object("Projection")
		projection.required("ProjectionType")
		index.Projection = projection.choice("ProjectionType", "ALL", "KEYS_ONLY", "INCLUDE")
		index.NonKey = projection.texts("NonKeyAttributes")
		if (index.Projection == "INCLUDE") != (len(index.NonKey) > 0) {
			projection.fail("NonKeyAttributes", "go with INCLUDE, and with it only")
		}
		projection.end()
		i.ignore("ContributorInsightsSpecification", "OnDemandThroughput", "ProvisionedThroughput", "WarmThroughput")
		i.end()
		table.Indexes = append(table.Indexes, index)
	}
	if p.has("StreamSpecification") {
		stream := p.object("StreamSpecification")
		stream.required("StreamViewType")
		table.StreamView = stream.choice("StreamViewType", "NEW_AND_OLD_IMAGES", "NEW_IMAGE", "OLD_IMAGE", "KEYS_ONLY")
		stream.ignore("ResourcePolicy")
		stream.end()
	}
	if p.has("TimeToLiveSpecification") {
		ttl := p.object("TimeToLiveSpecification")
		attribute := ttl.required("AttributeName")
		if ttl.boolean("Enabled", false) {
			table.TTLAttribute = attribute
		}
		ttl.end()
	}
	table.checkAttributes(p)
	t.tables = append(t.tables, table)
}

func key(p *properties) Key {
	var k Key
	for _, element := range p.objects("KeySchema") {
		name := element.required("AttributeName")
		switch element.required("KeyType") {
		case "HASH":
			k.Hash = name
		case "RANGE":
			k.Range = name
		default:
			element.fail("KeyType", "must be HASH or RANGE")
		}
		element.end()
	}
	if k.Hash == "" {
		p.fail("KeySchema", "has no HASH key")
	}
	return k
}

// checkAttributes refuses, as DynamoDB does, a key without a definition, and a definition without a key.
func (t Table) checkAttributes(p *properties) {
	keys := map[string]bool{}
	for _, k := range append([]Key{t.Key}, keysOf(t.Indexes)...) {
		for _, name := range []string{k.Hash, k.Range} {
			if name == "" {
				continue
			}
			keys[name] = true
			if t.Attributes[name] == "" {
				p.fail("AttributeDefinitions", "key attribute %s is missing", name)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(t.Attributes)) {
		if !keys[name] {
			p.fail("AttributeDefinitions", "%s is no key of the table or of an index", name)
		}
	}
}

func keysOf(indexes []Index) []Key {
	var keys []Key
	for _, i := range indexes {
		keys = append(keys, i.Key)
	}
	return keys
}
