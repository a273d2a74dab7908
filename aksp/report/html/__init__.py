"""The HTML report: one file that needs no network, made of a template, a style sheet and scripts.

``rows`` makes the data that the scripts read, ``remedy`` the YAML that fixes a finding, ``timeline`` the charts, and
``page`` puts it all together. The rows are drawn by scripts of our own, not by a table library: a window of rows in a
table is some two hundred lines, while the libraries that can do it are ten to a hundred times that, bring a design of
their own, and set ``innerHTML`` or style attributes, which the page's Content-Security-Policy refuses.
"""
