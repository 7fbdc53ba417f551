"""preprocess_images: the transforms that suit a set of images, recorded in the set.

Defaults follow the modality in the files' headers. They are worked out once, from headers alone,
and recorded as plain figures; images are transformed when they are read, in training and at the
endpoint by the same function.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Literal, TypeVar

import numpy as np

from lepton_ai.core.errors import InvalidInput
from lepton_ai.data.images.image import ImageMeta
from lepton_ai.data.images.imageset import ImageSet
from lepton_ai.data.transforms import (
    CT_WINDOWS,
    Channels,
    CropOrPad,
    Gaussian,
    Median,
    NonLocalMeans,
    Normalise,
    Resample,
    Rescale,
    Resize,
    Transform,
    Window,
)

__all__ = ["preprocess_images"]

Size = int | Sequence[int]
Figure = TypeVar("Figure", int, float)

# How pixel values are normalised where nothing else is asked for. Values of CT mean the same in
# every file (HU), so a fixed window keeps them comparable; those of MR and nuclear medicine do
# not, and have outliers; X-rays and ultrasound are stored ready to look at.
_BY_MODALITY: dict[str, Transform] = {
    **dict.fromkeys(("MR", "PT", "NM"), Normalise("percentile")),
    **dict.fromkeys(
        ("CR", "DX", "DR", "MG", "XA", "RF", "RG", "IO", "PX", "US", "OT"), Normalise("min-max")
    ),
    "CT": Window(*CT_WINDOWS["wide"]),
}
_CT_BODY_PARTS = {
    "CHEST": "lung",
    "LUNG": "lung",
    "THORAX": "lung",
    "HEAD": "brain",
    "BRAIN": "brain",
    "ABDOMEN": "soft tissue",
    "PELVIS": "soft tissue",
    "LIVER": "liver",
}
_NORMALISATION: dict[str, Transform] = {
    "z-score": Normalise("z-score"),
    "min-max": Normalise("min-max"),
    "percentile": Normalise("percentile"),
    "rescale": Rescale(),
}
_DENOISING: dict[str, Transform] = {
    "gaussian": Gaussian(),
    "median": Median(),
    "non-local means": NonLocalMeans(),
}
_LARGEST = {2: 224, 3: 64}  # pixels along an axis of the size that a mixed set is brought to


def preprocess_images(
    images: ImageSet,
    *,
    window: str | Sequence[float] | None = None,
    normalise: str | Transform | None = "auto",
    denoise: str | Transform | None = "auto",
    spacing: float | Sequence[float] | None = None,
    size: Literal["auto"] | Size | None = "auto",
    crop: Size | None = None,
    transforms: Iterable[Transform] | None = None,
) -> ImageSet:
    """Return the images with transforms that are applied whenever they are read.

    By default, by modality: CT is windowed in HU (by the body part, where the header names
    one); MR, PET and files that do not say are scaled from their 1st to their 99th percentile;
    X-rays, ultrasound and grey 8-bit pictures from lowest to highest value; colour pictures by
    the range of their pixel type. Grey images are blurred by half a pixel. Where shapes differ,
    all images get one size: the median of each axis, at most 224 pixels (64 in volumes). Where
    some are grey and some in colour, all become what most are.

    The steps run in this order: channels, denoising, spacing, crop, size, intensities. They take
    the place of transforms that the set had, so calling this twice does no harm.

    Args:
        images: the set; it is not changed.
        window: for CT, a name (``lung``, ``mediastinum``, ``soft tissue``, ``liver``, ``brain``,
            ``bone``, ``wide``) or centre and width in HU; used in the place of ``normalise``.
        normalise: ``auto``, ``z-score``, ``min-max``, ``percentile``, ``rescale`` (by the range
            of the pixel type), a transform of your own figures, or None.
        denoise: ``auto``, ``gaussian``, ``median``, ``non-local means``, a transform, or None.
        spacing: mm between pixels to resample to, one figure or one for each of (z, y, x).
        size: pixels to resize to, one figure or one for each of (z, y, x); ``auto`` resizes only
            where shapes differ, None never.
        crop: pixels to cut or fill to around the centre, which keeps the scale.
        transforms: the whole list, in the place of all other arguments.

    Raises:
        InvalidInput: an argument is none of these, or the set mixes planes and volumes.
    """
    if transforms is not None:
        return images.with_transforms(
            chain.from_iterable(_chosen(step, {}, "transforms") for step in transforms)
        )
    steps: list[Transform] = []
    metas = [entry.meta for entry in images.entries]
    if not metas:
        raise InvalidInput("the set holds no images; read a folder that has some")
    colours = Counter(meta.channels for meta in metas)
    channels = colours.most_common(1)[0][0]
    if len(colours) > 1:
        steps.append(Channels(3 if channels == 3 else 1))
    if denoise == "auto":
        denoise = Gaussian() if channels == 1 else None
    steps += _chosen(denoise, _DENOISING, "denoise")
    if spacing is not None:
        steps.append(Resample(_figures(spacing, float)))
    if crop is not None:
        steps.append(CropOrPad(_figures(crop, int)))
    if size == "auto":
        steps += [] if crop is not None else _common_size(images, spacing)
    elif size is not None:
        steps.append(Resize(_figures(size, int)))
    if window is not None:
        steps.append(_window(window))
    elif normalise == "auto":
        steps.append(_intensity(metas))
    else:
        steps += _chosen(normalise, _NORMALISATION, "normalise")
    return images.with_transforms(steps)


def _chosen(
    wish: Transform | str | None, names: dict[str, Transform], what: str
) -> list[Transform]:
    """Return the transform that is asked for by name or as itself."""
    if wish is None:
        return []
    if isinstance(wish, str):
        if wish not in names:
            raise InvalidInput(
                f"{what} must be "
                + (f"one of {', '.join(['auto', *names])}, " if names else "")
                + f"a transform or None; got {wish!r}"
            )
        return [names[wish]]
    if not isinstance(wish, Transform):
        raise InvalidInput(f"{what} must be a name, a transform or None; got {wish!r}")
    return [wish]


def _window(wish: str | Sequence[float]) -> Window:
    if isinstance(wish, str) and wish in CT_WINDOWS:
        return Window(*CT_WINDOWS[wish])
    if isinstance(wish, str) or not isinstance(wish, Sequence | np.ndarray) or len(wish) != 2:
        raise InvalidInput(
            f"window must be one of {', '.join(CT_WINDOWS)}, or centre and width in HU such as "
            f"(40, 400); got {wish!r}"
        )
    return Window(float(wish[0]), float(wish[1]))


def _figures(wish: Figure | Sequence[Figure], kind: type[Figure]) -> tuple[Figure, ...]:
    figures = wish if isinstance(wish, Sequence | np.ndarray) else [wish]
    try:
        return tuple(kind(figure) for figure in figures)
    except (TypeError, ValueError) as error:
        raise InvalidInput(
            f"expected one figure, or one for each axis in the order (z, y, x); got {wish!r}"
        ) from error


def _intensity(metas: Sequence[ImageMeta]) -> Transform:
    """Return how a set's values are normalised by default; percentiles suit all where it mixes."""
    parts = {meta.attributes.get("BodyPartExamined", "").upper() for meta in metas}
    chosen = {_intensity_of(meta) for meta in metas}
    if len(chosen) > 1:
        return Normalise("percentile")
    transform = chosen.pop()
    if transform == _BY_MODALITY["CT"] and len(parts) == 1:
        return Window(*CT_WINDOWS[_CT_BODY_PARTS.get(parts.pop(), "wide")])
    return transform


def _intensity_of(meta: ImageMeta) -> Transform:
    whole = np.dtype(meta.dtype).kind in "biu"
    if meta.channels == 3:
        return Rescale() if whole else Normalise("percentile")
    if meta.modality == "CT" and meta.attributes.get("RescaleType", "HU") != "HU":
        return Normalise("percentile")
    if meta.modality in _BY_MODALITY:
        return _BY_MODALITY[meta.modality]
    return Normalise("min-max" if meta.dtype in ("uint8", "bool") else "percentile")


def _common_size(images: ImageSet, spacing: float | Sequence[float] | None) -> list[Transform]:
    """Return the resizing that brings images of several shapes to one; none for one shape."""
    shapes: Counter[tuple[int, ...]] = Counter()
    times: set[tuple[int, ...]] = set()
    for entry in images.entries:
        meta = entry.meta
        end = len(meta.shape) - (meta.channels > 1)
        start = max(0, end - 3)
        shape = np.array(meta.shape[start:end])
        if spacing is not None and meta.spacing is not None:
            shape = np.maximum(1, np.round(shape * np.array(meta.spacing) / np.array(spacing)))
        shapes[tuple(shape.astype(int).tolist())] += 1
        times.add(meta.shape[:start])
    axes = Counter(len(shape) for shape in shapes)
    if len(axes) > 1:
        kinds = {2: "planes (y, x)", 3: "volumes (z, y, x)"}
        found = " and ".join(f"{kinds[count]}, such as {_first(shapes, count)}" for count in axes)
        raise InvalidInput(
            f"the set mixes {found}; choose the images of one kind, such as "
            "images[[len(image.meta.shape) == 2 for image in images]]"
        )
    if len(times) > 1:
        raise InvalidInput(
            f"the images differ in their time steps: {sorted(times)}; choose those with one number "
            "of steps"
        )
    if len(shapes) == 1:
        return []
    middle = np.median(np.array(list(shapes.elements())), axis=0)
    shrink = min(1.0, _LARGEST[len(middle)] / middle.max())
    return [Resize(tuple(np.maximum(1, np.round(middle * shrink)).astype(int).tolist()))]


def _first(shapes: Iterable[tuple[int, ...]], axes: int) -> str:
    return " x ".join(map(str, next(shape for shape in shapes if len(shape) == axes)))
