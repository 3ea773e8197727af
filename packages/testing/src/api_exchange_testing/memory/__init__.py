"""Every port on memory: as strict as the real thing, and gone with the process."""
