"""The page kit: sections of figures, tables and pictures as one HTML file. It knows no study."""
