"""A data set as one page for a browser: statistics, the account of a conversion, findings, and all images with their
boxes, in a file that needs no network.
"""
