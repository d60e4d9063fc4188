package session

// FleetTagKey is the key of the tag that makes a host one of the fleet's; its value is the stack's. The key is fixed, since
// the key of a policy's condition cannot be a parameter.
const FleetTagKey = "DcvFleet"
