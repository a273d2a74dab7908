# Names in lists: as they are, or beginnings followed by *.
package lib.names

listed(name, entries) if name in entries

listed(name, entries) if {
	is_string(name)
	some entry in entries
	endswith(entry, "*")
	startswith(name, trim_suffix(entry, "*"))
}
