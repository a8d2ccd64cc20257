"""Everything that is shown: pictures, drawings, tables, progress."""
