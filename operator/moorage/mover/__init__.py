"""The mover: runs beside a tenant's volume, writes it to an encrypted snapshot, reads it back, restores it."""
