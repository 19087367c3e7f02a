"""The conformance suite of bboxconv, run over this format."""

from bboxconv.testing import Broken, FormatConformance


class TestRetinaCsv(FormatConformance):
    """Everything that bboxconv expects of a format."""

    format_name = "retinacsv"
    lists_classes = False
    broken_sources = (Broken({"a.csv": b"a.jpg,1,2,3,4,cat\n\nb.jpg,1,two,3,4,cat\n"}, "bad-row", "a.csv:3"),)
