"""Cartoon faces drawn from eleven continuous attribute degrees, vectorised in torch.

Every face is a stack of flat shapes, painted from back to front.  A shape is a signed distance (negative inside), its
edge is smoothed over about one pixel, and nothing else depends on the resolution.  Coordinates run from -1 to 1, x to
the right and y downwards.  Most parts are symmetric, so they are drawn once, in ``|x|``.

Shapes in the docstrings: n faces, h rows, w columns.  A number per face is a tensor [n,1,1], a colour is [n,3,1,1],
a distance or a mask is [n,h,w].  Things that depend on the column alone stay [n,1,w] (rows: [n,h,1]) as long as
possible: most of the arithmetic then costs next to nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from ccigkit.data.drawn.canvas import Canvas

ATTRIBUTES = (
    "Male", "Young", "Smiling", "Mouth_Slightly_Open", "High_Cheekbones", "Narrow_Eyes",
    "Bald", "No_Beard", "Wearing_Lipstick", "Gray_Hair", "Eyeglasses",
)  # fmt: skip
IDENTITY = ("face_width", "skin", "hair_hue", "hair_volume", "eye_spacing", "iris", "background", "shirt")

Colour = tuple[int, int, int]

# Palettes: an identity value in [0,1] walks along each of these.
SKIN: tuple[Colour, ...] = ((255, 224, 200), (250, 206, 172), (230, 170, 130), (152, 100, 74))
HAIR: tuple[Colour, ...] = ((236, 180, 82), (196, 92, 44), (112, 62, 42), (48, 38, 48))
IRIS: tuple[Colour, ...] = ((70, 140, 190), (80, 150, 105), (120, 78, 46))
BACKGROUND: tuple[Colour, ...] = ((120, 196, 190), (150, 180, 230), (196, 168, 222), (248, 182, 150), (250, 208, 120))
SHIRT: tuple[Colour, ...] = ((236, 104, 92), (250, 180, 72), (56, 140, 140), (62, 78, 130))

GREY: Colour = (208, 212, 224)
ROSE: Colour = (238, 58, 94)
LIPSTICK: Colour = (188, 2, 54)
INK: Colour = (44, 34, 52)
MOUTH: Colour = (96, 22, 40)
TONGUE: Colour = (232, 104, 110)
PALE: Colour = (226, 232, 240)  # what age takes from the skin: its warmth
LENS: Colour = (170, 215, 240)
WHITE: Colour = (255, 255, 255)

REACH = (2.3,) * 3 + (2.9,) * 8  # the scores (log odds of the degrees) that the causal model reaches, either way
PIXELS_PER_CHUNK = 1 << 19  # 128 faces at 64 px: the masks of one chunk stay in the processor's cache


@dataclass(frozen=True)
class FaceCanvas(Canvas):
    """A rectangle of the picture, its edges eased over two pixels; painting in it paints the whole picture."""

    rows: slice = field(default_factory=lambda: slice(None))
    columns: slice = field(default_factory=lambda: slice(None))

    @classmethod
    def empty(cls, n: int, size: int, device: torch.device) -> FaceCanvas:
        """N pictures to paint all over."""
        pixel = 2 / size
        axis = (torch.arange(size, dtype=torch.float32, device=device) + 0.5) * pixel - 1
        return cls(axis.new_empty(n, 3, size, size), axis[None, None], axis[None, :, None], pixel)

    def window(self, left: float, right: float, top: float, bottom: float) -> FaceCanvas:
        """Return the part of the whole picture between these coordinates; painting only there saves time."""
        height, width = self.picture.shape[-2:]
        rows = slice(max(0, int((top + 1) / self.pixel)), min(height, int((bottom + 1) / self.pixel) + 1))
        columns = slice(max(0, int((left + 1) / self.pixel)), min(width, int((right + 1) / self.pixel) + 1))
        x, y = self.x[..., columns], self.y[:, rows]
        return FaceCanvas(self.picture[..., rows, columns], x, y, self.pixel, rows, columns)

    def crop(self, mask: Tensor) -> Tensor:
        """Cut out the part of a mask of the whole picture that lies in this window."""
        return mask[:, self.rows, self.columns]

    def cover(self, distance: Tensor, softness: float = 0.0, edge: float = 2.2) -> Tensor:
        """Return how much of each pixel lies inside the shape, in [0,1], easing in and out over its edge."""
        step = super().cover(distance, softness, edge)
        return step.mul(-2).add_(3).mul_(step).mul_(step)

    def stripe(self, upper: Tensor, lower: Tensor) -> Tensor:
        """Mask the points between two curves y(x), each [n,1,w]; nothing where they cross."""
        return (self.below(upper) - self.below(lower)).clamp_(min=0)

    def below(self, curve: Tensor) -> Tensor:
        """Mask the points under a curve y(x) [n,1,w]; the slope turns a vertical distance into a true one."""
        slope = torch.gradient(curve, spacing=self.pixel, dim=-1)[0]
        return self.cover((curve - self.y) * torch.rsqrt(1 + slope.square()))

    def turn(self) -> FaceCanvas:
        """Swap the axes of this window: curves become x(y), drawn in |x| and so the same on both sides."""
        return FaceCanvas(self.picture.mT, self.y.mT, self.x.abs().mT, self.pixel)


def mix(start: float | Tensor, end: float | Tensor, degree: Tensor) -> Tensor:
    """Return the value between start and end at this degree."""
    return start + (end - start) * degree


def ease(degree: Tensor) -> Tensor:
    """Go from 0 to 1, faster at first: evens out parts whose size and colour grow together."""
    return degree * (1.5 - 0.5 * degree)


def ellipse(dx: Tensor, dy: Tensor, rx: float | Tensor, ry: float | Tensor) -> Tensor:
    """Measure the distance [n,h,w] (first order, exact at the edge) to an ellipse; dx, dy start at its centre."""
    ux, uy = dx / rx, dy / ry
    gradient = (ux / rx).square() + (uy / ry).square()
    return (ux.square() + (uy.square() - 1)).mul_(gradient.add_(1e-6).rsqrt_()).mul_(0.5)


def rounded_box(dx: Tensor, dy: Tensor, width: float | Tensor, height: float | Tensor, radius: float) -> Tensor:
    """Measure the distance [n,h,w] (no less than -radius) to a box with these half sides and round corners."""
    qx = (dx.abs() - width + radius).clamp(min=0)
    qy = (dy.abs() - height + radius).clamp(min=0)
    return (qx.square() + qy.square()).sqrt_().sub_(radius)


def arch(x: Tensor, centre: float | Tensor, reach: float | Tensor) -> Tensor:
    """Draw a parabola over the columns: 1 at the centre, 0 at centre +- reach, negative beyond."""
    return 1 - ((x - centre) / reach).square()


class Face:
    """What the parts share: every degree by its short name, the main measures, and the colours."""

    def __init__(self, degrees: Tensor, identity: Tensor) -> None:
        # Drawn by score: a step of it moves an edge as far at the ends as in the middle, so that all noise can be seen.
        places = 0.5 + 0.5 * degrees.logit(1e-3) / degrees.new_tensor(REACH)
        columns = places.clamp(0, 1)[..., None, None].unbind(1)
        self.male, young, self.smile, self.gape, cheek, self.narrow = columns[:6]
        self.bald, no_beard, lips, grey, glasses = columns[6:]
        self.old, self.beard = 1 - young, 1 - no_beard
        self.cheek, self.lips, self.glasses = ease(cheek), ease(lips), ease(glasses)
        width, skin, hue, volume, spacing, iris, background, shirt = identity[..., None, None].unbind(1)

        self.width = mix(0.595, 0.63, width)  # half the width of the head
        self.chin = mix(0.8, 0.86, self.old)
        self.volume = mix(0.115, 0.16, volume)  # how far the hair stands off the head
        self.eye_x = mix(0.27, 0.29, spacing)
        self.neck = mix(0.2, 0.36, self.male)

        self.skin = self.ramp(SKIN, skin) * mix(self.colour(WHITE), self.colour(PALE), self.old[:, None])
        self.shade = self.skin * self.colour((216, 178, 176))
        natural = self.ramp(HAIR, hue)
        self.hair = mix(natural, self.colour(GREY), grey[:, None])
        self.brow = 0.75 * natural + 0.25 * self.colour(INK)  # brows grey late, so they show what colour the hair was
        self.whiskers = 0.5 * self.hair + 0.5 * self.colour(INK)  # dark enough to stand off every skin
        self.iris = self.ramp(IRIS, iris)
        self.background = self.ramp(BACKGROUND, background)
        self.shirt = self.ramp(SHIRT, shirt)

    def colour(self, rgb: Colour) -> Tensor:
        """Return a fixed colour [1,3,1,1]."""
        return self.male.new_tensor(rgb).view(1, 3, 1, 1) / 255

    def ramp(self, stops: tuple[Colour, ...], value: Tensor) -> Tensor:
        """Return the colour [n,3,1,1] at a position in [0,1] along evenly spaced stops."""
        position = value[:, None] * (len(stops) - 1)
        weights = [(1 - (position - i).abs()).clamp(min=0) for i in range(len(stops))]
        return torch.stack([weight * self.colour(stop) for weight, stop in zip(weights, stops, strict=True)]).sum(0)


def draw_background(face: Face, canvas: FaceCanvas) -> None:
    """Draw one soft colour with a lighter disc behind the head."""
    canvas.picture.copy_(face.background)
    canvas.paint(canvas.cover(ellipse(canvas.x, canvas.y + 0.02, 0.93, 0.93)), 0.75 * face.background + 0.25)


def draw_shoulders(face: Face, canvas: FaceCanvas) -> None:
    """Draw the shoulders, broader with Male, in front of long hair: no attribute hides the colour of the shirt."""
    part = canvas.window(-1, 1, 0.7, 1)
    part.paint(part.cover(ellipse(part.x, part.y - 1.35, mix(0.86, 1.1, face.male), 0.5)), face.shirt)


def draw_back_hair(face: Face, canvas: FaceCanvas) -> None:
    """Draw the cap of hair behind the head, smaller with Bald, the ears, and the long hair of a low Male."""
    canvas.paint(canvas.cover(cap_distance(face, canvas)), face.hair)
    ears = canvas.window(-0.85, 0.85, -0.1, 0.4)
    distance = ellipse(ears.x.abs() - face.width - 0.02, ears.y - 0.12, 0.1, 0.15)
    ears.paint(ears.cover(distance), face.skin)
    ears.paint(ears.cover(distance + 0.045), face.shade)
    long = canvas.window(-1, 1, -0.3, 1)
    top, end = -0.2, mix(1.05, 0.0, face.male)
    middle, half = (top + end) / 2, (end - top) / 2
    hair = long.cover(rounded_box(long.x, long.y - middle, face.width + face.volume, half, 0.2))
    long.paint(hair, face.hair)
    long.paint(hair.mul_(long.cover(ellipse(long.x, long.y - 0.6, face.width - 0.1, 0.8), 0.06)), face.hair * 0.78)


def draw_neck(face: Face, canvas: FaceCanvas) -> None:
    """Draw the neck, wider with Male, and the shadow of the chin on it."""
    part = canvas.window(-0.6, 0.6, 0.4, 1)
    neck = part.cover(rounded_box(part.x, part.y - 0.5, face.neck, 0.5, 0.1))
    part.paint(neck, face.skin)
    part.paint(neck * part.cover(ellipse(part.x, part.y - 0.2, 0.5, face.chin - 0.1)), face.shade)


def head_distance(face: Face, canvas: FaceCanvas) -> Tensor:
    """Measure the distance to the head: a superellipse that narrows to the chin, and squares up with Male."""
    power = mix(2.15, 2.75, face.male)
    top = -0.77
    centre, half = (face.chin + top) / 2, (face.chin - top) / 2
    v = (canvas.y - centre) / half
    jaw = (v.clamp(-0.2, 1.2) + 0.2).square() * mix(0.19, -0.03, face.male)
    rows = (face.width * (1 - jaw)).pow(-power)
    return (canvas.x.abs().pow(power) * rows + (v.abs().pow(power) - 1)) * (face.width / power)


def draw_head(face: Face, canvas: FaceCanvas, distance: Tensor) -> Tensor:
    """Draw the skin of the head, softly shaded on one side, with a gloss on the scalp; returns its mask [n,h,w]."""
    head = canvas.cover(distance)
    canvas.paint(head, face.skin)
    lit = canvas.cover(ellipse(canvas.x + 0.12, canvas.y + 0.06, face.width, 0.8), 0.3)
    canvas.paint(head * (1 - lit) * 0.6, face.shade)
    scalp = canvas.window(-0.5, 0.3, -0.8, -0.4)
    gloss = scalp.cover(ellipse(scalp.x + 0.16, scalp.y + 0.62, 0.16, 0.05), 0.05)
    scalp.paint(gloss * 0.45, face.colour(WHITE))
    return head


def draw_front_hair(face: Face, canvas: FaceCanvas) -> None:
    """Draw the hair over the forehead; the hairline climbs to the crown with Bald, but the sides stay."""
    part = canvas.window(-0.9, 0.9, -1, 0.1)
    distance = cap_distance(face, part)
    u = part.x / face.width
    side = ((u.abs() - mix(0.58, 0.64, face.bald)) / mix(0.36, 0.46, face.bald)).clamp(0, 1)
    side = side * side * (3 - 2 * side)
    line = mix(-0.45 - 0.12 * arch(u, -0.35, 0.9).clamp(min=0), -0.75, face.bald)
    hair = part.cover(distance).mul_(1 - part.below(mix(line, 0.0, side)))
    part.paint(hair, face.hair)
    part.paint(hair.mul_(part.cover((distance + 0.13).abs() - 0.03, 0.06)), 0.8 * face.hair + 0.2)


def cap_distance(face: Face, canvas: FaceCanvas) -> Tensor:
    """Measure the distance to the outline of the hair on the head; Bald lowers it until the scalp shows."""
    top = mix(-0.80 - face.volume, -0.71, face.bald)
    return ellipse(canvas.x, canvas.y + 0.12, face.width + face.volume, -0.12 - top)


def draw_beard(face: Face, canvas: FaceCanvas, distance: Tensor) -> None:
    """Draw a full beard from ear to ear; with No_Beard it shrinks to a fringe under the chin and fades out."""
    part = canvas.window(-0.8, 0.8, -0.1, 1)
    u = (part.x / face.width).square()
    full, fringe = 0.2 + 0.5 * u - 0.8 * u.square(), face.chin - 0.5 * u
    longer = (0.03 + 0.1 * (part.y - 0.3).clamp(0, 0.6)) * face.beard
    beard = part.cover(part.crop(distance) - longer).mul_(part.below(mix(fringe, full, face.beard)))
    part.paint(beard.mul_(ease(face.beard)), face.whiskers)


def draw_cheeks(face: Face, canvas: FaceCanvas, head: Tensor) -> None:
    """Draw rosy discs with a shine on the bone; with High_Cheekbones they climb, glow and grow."""
    part = canvas.window(-0.75, 0.75, -0.1, 0.85)
    inside = part.crop(head)
    dx, dy = part.x.abs() - 0.41, part.y - mix(0.53, 0.19, face.cheek)
    disc = part.cover(ellipse(dx, dy, mix(0.16, 0.23, face.cheek), mix(0.14, 0.2, face.cheek)), 0.03)
    part.paint(disc.mul_(inside).mul_(mix(0.25, 0.97, face.cheek)), face.colour(ROSE))
    shine = part.cover(ellipse(dx + 0.01, dy + 0.075, 0.135, 0.063), 0.01)
    part.paint(shine.mul_(inside).mul_(mix(0.05, 0.85, face.cheek)), face.colour(WHITE))


def draw_age(face: Face, canvas: FaceCanvas) -> None:
    """Draw lines on the forehead, bags under the eyes and folds beside the mouth, all fading with Young."""
    ink, strength = face.shade * 0.7, 0.7 * face.old
    forehead = canvas.window(-0.45, 0.45, -0.75, -0.3)
    for height in (-0.64, -0.53, -0.42):
        bow = height - 0.03 * arch(forehead.x, 0, 0.4)
        thick = 0.024 * arch(forehead.x, 0, 0.36)
        forehead.paint(forehead.stripe(bow - thick, bow + thick) * strength, ink)
    eyes = canvas.window(-0.55, 0.55, 0.0, 0.3)
    hump = arch(eyes.x.abs(), face.eye_x, 0.2)
    eyes.paint(eyes.stripe(0.08 + 0.08 * hump, 0.08 + 0.15 * hump) * strength, ink)
    folds = canvas.window(-0.6, 0.6, 0.1, 0.9).turn()
    bow, thick = 0.22 + 0.25 * arch(folds.x, 0.52, 0.36), 0.03 * arch(folds.x, 0.40, 0.24)
    folds.paint(folds.stripe(bow - thick, bow + thick) * strength, ink)


def draw_nose(face: Face, canvas: FaceCanvas) -> None:
    """Draw a soft nose, longer and broader with age."""
    part = canvas.window(-0.2, 0.2, -0.05, 0.4)
    tip, broad = mix(0.15, 0.22, face.old), mix(0.095, 0.14, face.old)
    part.paint(part.cover(ellipse(part.x, part.y - tip, broad, 0.08)), face.shade * 0.92)
    part.paint(part.cover(ellipse(part.x + 0.015, part.y - tip + 0.035, broad - 0.01, 0.08)), face.skin)


def draw_mouth(face: Face, canvas: FaceCanvas) -> None:
    """Draw lips that bend with Smiling, part with Mouth_Slightly_Open, and redden and swell with Wearing_Lipstick."""
    part = canvas.window(-0.5, 0.5, 0.1, 0.95)
    reach = mix(0.34, 0.4, face.smile)
    hump = arch(part.x, 0, reach)
    full = 1 - (1 - hump).square()  # fuller towards the corners than the parabola
    middle = 0.47 + mix(-0.14, 0.26, face.smile) * (hump - 0.7)
    gap = (0.012 + 0.16 * face.gape) * hump
    upper, lower = middle - 0.3 * gap, middle + 1.3 * gap
    thick = mix(0.02, 0.115, face.lips) * full
    cupid = 1 - 0.35 * arch(part.x, 0, 0.1).clamp(min=0)
    lip = mix(0.5 * (face.skin + face.shade), face.colour(LIPSTICK), face.lips[:, None])
    part.paint(part.stripe(upper - thick * cupid, lower + thick), lip)
    inside = part.stripe(upper, lower)
    part.paint(inside, face.colour(MOUTH))
    tongue = ellipse(part.x, part.y - 0.56 - 0.16 * face.gape, 0.17, 0.09)
    part.paint(part.cover(tongue).mul_(inside), face.colour(TONGUE))
    part.paint(part.stripe(upper, upper + 0.6 * gap - 0.01 * hump), face.colour(WHITE))


def draw_eyes(face: Face, canvas: FaceCanvas) -> None:
    """Draw large eyes whose lids close with Narrow_Eyes."""
    part = canvas.window(-0.55, 0.55, -0.35, 0.25)
    dx, dy = part.x.abs() - face.eye_x, part.y + 0.03
    wide, high = 0.18, mix(0.22, 0.035, face.narrow)
    part.paint(part.cover(ellipse(dx, dy, 0.185, 0.2)), face.shade)
    part.paint(part.cover(ellipse(dx, dy + 0.022, wide + 0.015, high + 0.02)), face.colour(INK))
    white = part.cover(ellipse(dx, dy, wide, high))
    part.paint(white, face.colour(WHITE))
    part.paint(part.cover(ellipse(dx, dy, 0.152, 0.152)).mul_(white), face.iris)
    part.paint(part.cover(ellipse(dx, dy, 0.096, 0.096)).mul_(white), face.colour(INK))
    glint = ellipse((part.x + 0.04).abs() - face.eye_x, dy + 0.055, 0.045, 0.045)  # both on the side of the light
    part.paint(part.cover(glint).mul_(white), face.colour(WHITE))


def draw_brows(face: Face, canvas: FaceCanvas) -> None:
    """Draw brows in the hair's own colour, thicker with Male."""
    part = canvas.window(-0.6, 0.6, -0.5, -0.15)
    ax = part.x.abs()
    bow = -0.31 - 0.05 * arch(ax, face.eye_x + 0.02, 0.2)
    thick = mix(0.024, 0.06, face.male) * arch(ax, face.eye_x, 0.21)
    part.paint(part.stripe(bow - thick, bow + thick), face.brow)


def draw_glasses(face: Face, canvas: FaceCanvas) -> None:
    """Draw thick frames and lightly tinted lenses that fade in with Eyeglasses."""
    part = canvas.window(-0.75, 0.75, -0.35, 0.35)
    ax = part.x.abs()
    distance = rounded_box(ax - face.eye_x, part.y + 0.02, face.eye_x - 0.04, 0.24, 0.15)
    thick = 0.014 + 0.02 * face.glasses
    part.paint(part.cover(distance) * (0.28 * face.glasses), face.colour(LENS))
    rims = part.cover(distance - thick) - part.cover(distance + thick)
    bars = part.cover(rounded_box(part.x, part.y + 0.06, 0.06, thick, 0.01))
    temples = part.cover(rounded_box(ax - face.width, part.y + 0.08, 0.06, thick, 0.01))
    part.paint(torch.maximum(rims, bars).maximum(temples).mul_(face.glasses), face.colour(INK))


def _draw(degrees: Tensor, identity: Tensor, size: int) -> Tensor:
    """Draw one chunk of faces, from back to front."""
    canvas = FaceCanvas.empty(len(degrees), size, degrees.device)
    face = Face(degrees, identity)
    draw_background(face, canvas)
    draw_back_hair(face, canvas)
    draw_shoulders(face, canvas)
    draw_neck(face, canvas)
    distance = head_distance(face, canvas)
    head = draw_head(face, canvas, distance)
    draw_beard(face, canvas, distance)
    draw_cheeks(face, canvas, head)
    draw_age(face, canvas)
    draw_front_hair(face, canvas)
    draw_mouth(face, canvas)
    draw_nose(face, canvas)
    draw_eyes(face, canvas)
    draw_brows(face, canvas)
    draw_glasses(face, canvas)
    return canvas.to_bytes()


@torch.no_grad()
def draw_faces(degrees: Tensor, identity: Tensor, size: int = 64) -> Tensor:
    """Draw one face per row: degrees [n,11] and identity [n,8], all in [0,1], give uint8 RGB [n,3,size,size]."""
    chunk = max(1, PIXELS_PER_CHUNK // size**2)
    starts = range(0, max(1, len(degrees)), chunk)
    return torch.cat([_draw(degrees[i : i + chunk].float(), identity[i : i + chunk].float(), size) for i in starts])
