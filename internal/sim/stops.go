package sim

// stopsHost holds a stop to what is promised of it.
func (w *world) stopsHost(inv *invocation, m *machine) {}
