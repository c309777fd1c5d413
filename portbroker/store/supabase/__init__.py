"""Supabase: the SQL functions of the migration, called through Supabase's own client.

The one rule: imported only where the file says Supabase; its client costs start-up time and memory.
"""

from portbroker.store.supabase.database import SupabaseDatabase

__all__ = ["SupabaseDatabase"]
