"""The paper's networks run on its chip, beside what the paper says of them.

`reproducing.reproduce` runs or takes up everything and returns one document, which `document` declares.
Thresholds and all other choices are made on validation images; the test images only say how these do.
"""
