"""Boxes, polygons, masks and keypoints drawn on images: a contact sheet, or single pictures. Needs Pillow, the extra
`bboxconv[draw]`.
"""
