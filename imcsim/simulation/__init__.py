"""One network on one chip with its images: values, placement and time joined into ledgers."""
