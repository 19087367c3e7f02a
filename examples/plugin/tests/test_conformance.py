from bboxconv.testing import Broken, FormatConformance


class TestRetinaCsv(FormatConformance):
    format_name = "retinacsv"
    lists_classes = False
    broken_sources = (Broken({"a.csv": b"a.jpg,1,2,3,4,cat\n\nb.jpg,1,two,3,4,cat\n"}, code="bad-row", where="a.csv:3"),)
