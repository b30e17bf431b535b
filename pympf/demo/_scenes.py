"""The pictures of the demo and the strokes that label a few of their pixels.

The strokes were placed by hand; those on the vessels of the retina were pulled onto the darkest
pixels near them. A line of text is a stroke: the x,y of its corners in pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pympf.demo._problem import BACKGROUND, FOREGROUND, Problem


class Window(NamedTuple):
    """A square of pixels: its upper left corner and its side."""

    x: int
    y: int
    size: int


@dataclass(frozen=True)
class Scene:
    """A picture that scikit-image ships, what is to be segmented, and where to look closer."""

    name: str
    subject: str
    beta: float
    foreground: str
    background: str
    focus: Window
    detail: Window

    def problem(self) -> Problem:
        """Load the picture, draw the strokes and set the system up."""
        import skimage.data

        picture = getattr(skimage.data, self.name)()
        labels = np.zeros(picture.shape[:2], np.int64)
        draw_strokes(labels, self.background, BACKGROUND)
        draw_strokes(labels, self.foreground, FOREGROUND)
        return Problem.of(picture, labels, self.beta)


def draw_strokes(labels: NDArray[np.int64], strokes: str, label: int) -> None:
    """Draw lines two pixels wide into an array of labels; what lies outside is left out."""
    from skimage.draw import line

    height, width = labels.shape
    for stroke in strokes.strip().splitlines():
        corners = [tuple(map(int, corner.split(","))) for corner in stroke.split()]
        for (x0, y0), (x1, y1) in pairwise(corners):
            rows, columns = line(y0, x0, y1, x1)
            for r, c in ((rows, columns), (rows + 1, columns), (rows, columns + 1)):
                inside = (r >= 0) & (r < height) & (c >= 0) & (c < width)
                labels[r[inside], c[inside]] = label


CAMERA = Scene(
    name="camera",
    subject="the photographer",
    beta=150,
    focus=Window(166, 52, 160),
    detail=Window(236, 145, 32),
    foreground="""
        30,500 60,400 60,300 110,180 150,130
        60,300 140,240 210,215 232,205
        110,380 170,310 240,290 285,270
        130,495 90,410
        170,150 185,190
        185,110 215,85 255,120
        195,140 235,185
        262,142 318,150
        268,170 310,172 325,185 300,215 270,225
        293,215 293,480
        285,335 239,505
        309,338 402,508
        243,494 293,484 385,481
        305,318 333,303
    """,
    background="""
        15,20 490,20
        20,150 90,90 150,40
        330,120 490,110
        10,210 20,225
        350,200 500,190
        350,235 495,245 495,500 430,490
        205,318 230,325 278,318
        200,340 260,350 220,430 180,500
        281,395 268,460 285,470
        303,348 312,380 370,468 305,470
        265,500 310,493 380,490 385,505
        322,335 350,310
        345,330 430,440
        255,182 262,200 275,205
        255,228 262,232
    """,
)

RETINA = Scene(
    name="retina",
    subject="the vessels",
    beta=600,
    focus=Window(165, 505, 140),
    detail=Window(180, 540, 32),
    foreground="""
        212,565 227,510 250,490 249,471 300,415 325,412 413,331 530,320 564,335 662,343 699,355
        699,355 764,404 802,422 869,423 911,436 949,436 999,430 1060,405 1121,345 1156,320 1229,309
        319,381 369,341 404,304 428,248 450,225 583,160 607,157
        607,157 693,166 803,155 858,163 939,191 1015,186 1120,158
        317,353 366,275 390,210 361,170 357,140
        200,570 137,572 103,514 89,484 75,455
        530,320 524,270 527,231 554,201 596,172
        200,700 183,723 175,773 204,842 236,922 254,947 260,1000 294,1044 291,1075 304,1093
        304,1093 368,1154 460,1205 676,1228 790,1215
        790,1215 823,1224 894,1228 1014,1229 1083,1194 1134,1180 1206,1142
        300,1050 363,1078 448,1134 495,1164 576,1204 625,1244 700,1290 760,1365
        172,770 138,792 110,880 70,935
        204,855 251,883 305,890 335,904 405,956 450,967 575,964
        575,964 656,930 760,900 810,871 852,865 1046,870 1171,906
        256,934 269,935 311,981 351,1006 435,1020 549,1026 593,1015
        790,1215 847,1125 894,1013 910,1000 910,940 940,884
        465,1210 500,1280 500,1350
        1085,390 1132,387 1160,395 1198,439 1210,460 1183,540 1178,578 1213,642 1250,680
        331,558 366,531 430,505 474,511 503,504 574,441 607,430 631,430 658,441 697,484 733,512
    """,
    background="""
        400,20 20,20 20,400
        1200,20 1390,20 1390,300
        20,1000 20,1390 400,1390
        1000,1390 1390,1390 1390,1000
        350,450 430,400 600,390 720,460 820,520 1000,480 1120,450 1150,540
        270,530 300,475 340,435
        400,560 520,540 610,480 660,520 740,570 900,640
        330,620 400,760 700,820 1000,820 1180,820
        270,600 280,700
        150,620 130,690
        260,850 340,860 430,930 570,930 700,880 790,850
        300,930 350,965 440,993 560,995 640,980 780,925 850,890 905,882 890,960
        290,1010 400,1070 600,1170 760,1190 830,1090 860,1040
        340,1100 400,1135 470,1180 520,1195
        1150,925 960,885 950,1010 900,1130 880,1200 1000,1190 1150,1100 1260,1060 1290,950 1200,930
        260,1120 350,1210 440,1300
        530,1350 540,1260 600,1250 670,1310
        720,1280 850,1260 1050,1260 1230,1180
        165,810 150,880 200,960 240,1060
        100,790 60,850
        60,560 90,650 60,740
        110,420 160,530 220,450 270,380 330,260 330,180
        345,335 385,285 415,225 480,150 430,80
        440,300 490,290 500,230 540,195
        560,300 560,240 640,190 900,240 1100,250
        720,330 800,385 960,400 1070,360 1150,290
        720,130 950,150 1080,140
        780,1355 800,1315 950,1340
        1140,600 1200,740
        1210,370 1250,470 1230,570 1280,660 1260,760 1180,760
    """,
)
