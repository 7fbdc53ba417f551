"""The client of an inference server: values of any usual form in, predictions out."""

import io
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar
from urllib.parse import quote, urlencode

import msgspec
import narwhals as nw
import numpy as np
import urllib3
from msgspec import Struct
from numpy.typing import NDArray

from lepton_ai.core.errors import AccessDenied, InvalidInput, LeptonError, NotFound, Unavailable
from lepton_ai.ml.bundle.signature import Signature
from lepton_ai.ml.explanation.explanation import Explanation
from lepton_ai.serving.records import Answer

__all__ = ["Client", "Prediction"]

T = TypeVar("T")

_ROWS_PER_REQUEST = 5000
# A prediction changes nothing, so a request that met a restart is simply sent again.
_RETRIES = urllib3.Retry(
    total=4,
    backoff_factor=0.1,
    status_forcelist=(503,),
    allowed_methods=None,
    raise_on_status=False,
)


class Prediction(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the model says of one row or image; what it holds beside the origin is the task's.

    Attributes:
        id: the receipt's id, shared by the rows of one request; ``lepton trace`` takes it.
        model: the endpoint that answered.
        version: the model's version.
        label: the class or cluster, or whether it is an anomaly; empty where values are predicted.
        probabilities: of each class.
        memberships: of each cluster.
        value: a regressor's.
        low: the lower end of the value's interval, where it is known.
        high: the upper end.
        score: of anomaly, higher for what is stranger.
        forecast: the next steps of each series.
    """

    id: str
    model: str
    version: int
    label: str = ""
    probabilities: dict[str, float] = {}
    memberships: dict[str, float] = {}
    value: float | None = None
    low: float | None = None
    high: float | None = None
    score: float | None = None
    forecast: dict[str, list[float]] = {}


class _Explained(Struct):
    explanations: list[Explanation]


class _Question(Struct, Generic[T], frozen=True):
    """What an endpoint is asked, and how its answer is read."""

    verb: str
    read: Callable[[bytes], list[T]]


def _predictions(body: bytes) -> list[Prediction]:
    answer = msgspec.json.decode(body, type=Answer)
    origin = {"id": answer.id, "model": answer.model, "version": answer.version}
    return [msgspec.convert(origin | row, Prediction) for row in answer.predictions]


def _explanations(body: bytes) -> list[Explanation]:
    return msgspec.json.decode(body, type=_Explained).explanations


class _Described(Struct):
    name: str
    signature: Signature


class Client:
    """Talks to one server, over connections that are kept open; safe to share among threads.

    Args:
        url: the server's root, such as ``http://127.0.0.1:8421``.
        token: the workspace's token.
        timeout: seconds to wait for an answer.
    """

    def __init__(self, url: str, token: str, timeout: float = 60.0) -> None:
        self.url = url.rstrip("/")
        self._headers = {"authorization": f"Bearer {token}"}
        self._pool = urllib3.PoolManager(
            maxsize=8, retries=_RETRIES, timeout=urllib3.Timeout(timeout)
        )

    def predict(self, endpoint: str, value: Any) -> "Prediction | list[Prediction]":
        """Ask an endpoint's model.

        Args:
            endpoint: the name it was deployed under.
            value: one row or image: a record (dict), the path or the bytes of an image file, the
                path of a folder with the DICOM slices of one volume, or a one-dimensional array;
                or many: a list of any of these but folders, a data frame (pandas, Polars,
                Arrow), or an array of rows. An array for a model of images is one image. For a
                model of series, a list of records or a data frame are the steps of one series,
                and a list of such lists are many.

        Returns:
            A prediction for one, a list of predictions for many.

        Raises:
            InvalidInput: the value does not fit the model.
            NotFound: nothing is deployed there.
            AccessDenied: the token is wrong.
            Unavailable: the server does not answer.
        """
        return self._ask(endpoint, _Question("predict", _predictions), value)

    def explain(
        self,
        endpoint: str,
        value: Any,
        *,
        about: str | None = None,
        method: str = "auto",
        samples: int | None = None,
        seed: int = 0,
    ) -> Explanation | list[Explanation]:
        """Ask an endpoint's model, and why it answers so.

        Each explanation names the receipt of the answer that it explains.

        Args:
            endpoint: the name it was deployed under.
            value: as for `predict`; up to 32 rows.
            about: the class, cluster or series; by default what each row is answered.
            method: see `lepton_ai.ml.explanation.explainer.Explainer.explain`.
            samples: pairs of orders behind sampled values.
            seed: of the orders.

        Raises:
            InvalidInput: the value does not fit, or the model cannot be explained that way.
            NotFound: nothing is deployed there.
            AccessDenied: the token is wrong.
            Unavailable: the server does not answer.
        """
        words = {"about": about, "method": method, "samples": samples, "seed": seed}
        query = urlencode({word: given for word, given in words.items() if given is not None})
        return self._ask(endpoint, _Question(f"explain?{query}", _explanations), value)

    def _ask(self, endpoint: str, to: "_Question[T]", value: Any) -> "T | list[T]":
        if hasattr(value, "to_polars"):
            value = value.to_polars()
        if isinstance(value, Mapping):
            return self._records(endpoint, to, [value])[0]
        if isinstance(value, str | os.PathLike) and Path(value).is_dir():
            return self._volume(endpoint, to, Path(value))
        if isinstance(value, str | os.PathLike | bytes):
            return self._files(endpoint, to, [_file(value)])[0]
        if isinstance(value, np.ndarray):
            return self._array(endpoint, to, value)
        if isinstance(value, Sequence):
            if not value:
                return []
            if isinstance(value[0], Mapping):
                return self._steps(endpoint, to, value)
            if isinstance(value[0], list | tuple) and value[0] and isinstance(value[0][0], Mapping):
                return self._records(endpoint, to, value)
            if isinstance(value[0], str | os.PathLike | bytes):
                return self._files(endpoint, to, [_file(item) for item in value])
            if isinstance(value[0], np.ndarray) and value[0].ndim > 1:
                return self._files(endpoint, to, [_npy(item) for item in value])
            return self._array(endpoint, to, np.asarray(value))
        try:
            frame = nw.from_native(value, eager_only=True)
        except TypeError:
            raise InvalidInput(
                f"cannot predict from {type(value).__name__}; give a dict, a list of dicts, a "
                "data frame, an array, or the path or bytes of an image file"
            ) from None
        return self._steps(endpoint, to, frame.rows(named=True))

    def describe(self, endpoint: str) -> Signature:
        """Return what an endpoint's model takes and gives.

        Raises:
            NotFound: nothing is deployed there.
        """
        described = msgspec.json.decode(self._request("GET", "/models"), type=list[_Described])
        for found in described:
            if found.name == endpoint:
                return found.signature
        raise NotFound(f"no model is deployed as {endpoint!r} at {self.url}")

    def _array(self, endpoint: str, to: "_Question[T]", array: NDArray[Any]) -> "T | list[T]":
        signature = self.describe(endpoint)
        if signature.kind == "image":
            return self._files(endpoint, to, [_npy(array)])[0]
        rows = np.atleast_2d(array)
        if signature.kind == "array":
            predictions = [
                prediction
                for part in _parts(rows, _ROWS_PER_REQUEST)
                for prediction in self._post(endpoint, to, msgspec.json.encode(part.tolist()))
            ]
        else:
            names = [field.name for field in signature.inputs]
            if rows.ndim != 2 or rows.shape[1] != len(names):
                raise InvalidInput(
                    f"{endpoint!r} takes {len(names)} columns ({', '.join(names[:5])} ...), not an "
                    f"array of shape {array.shape}"
                )
            predictions = self._records(
                endpoint, to, [dict(zip(names, row, strict=True)) for row in rows.tolist()]
            )
        return predictions[0] if array.ndim == 1 else predictions

    def _steps(
        self, endpoint: str, to: "_Question[T]", rows: Sequence[Mapping[str, Any]]
    ) -> "list[T]":
        """Post records; those of one series stay together, however many there are."""
        if len(rows) > _ROWS_PER_REQUEST and self.describe(endpoint).kind == "series":
            return self._post(endpoint, to, msgspec.json.encode(rows, enc_hook=_plain))
        return self._records(endpoint, to, rows)

    def _records(self, endpoint: str, to: "_Question[T]", rows: Sequence[Any]) -> "list[T]":
        return [
            prediction
            for part in _parts(rows, _ROWS_PER_REQUEST)
            for prediction in self._post(endpoint, to, msgspec.json.encode(part, enc_hook=_plain))
        ]

    def _files(self, endpoint: str, to: "_Question[T]", files: list[bytes]) -> "list[T]":
        return [
            prediction
            for data in files
            for prediction in self._post(endpoint, to, data, "application/octet-stream")
        ]

    def _volume(self, endpoint: str, to: "_Question[T]", folder: Path) -> "T":
        files = sorted(file for file in folder.iterdir() if file.is_file())
        fields = [("file", (file.name, _file(file))) for file in files]
        body, content_type = urllib3.encode_multipart_formdata(fields)
        predictions = self._post(endpoint, to, body, content_type)
        if len(predictions) > 1:
            raise InvalidInput(
                f"the {len(files)} files in {folder} are {len(predictions)} images, not the DICOM "
                "slices of one; give a list of files to predict from each"
            )
        return predictions[0]

    def _post(
        self,
        endpoint: str,
        to: "_Question[T]",
        body: bytes,
        content_type: str = "application/json",
    ) -> "list[T]":
        path = f"/models/{quote(endpoint, safe='')}/{to.verb}"
        return to.read(self._request("POST", path, body, content_type))

    def _request(
        self, method: str, path: str, body: bytes | None = None, content_type: str = ""
    ) -> bytes:
        headers = self._headers | ({"content-type": content_type} if content_type else {})
        try:
            response = self._pool.request(method, self.url + path, body=body, headers=headers)
        except urllib3.exceptions.HTTPError as error:
            raise Unavailable(
                f"the inference server at {self.url} does not answer ({error}); "
                "`lepton status` shows whether it runs, `lepton up` starts it"
            ) from error
        if response.status != 200:
            raise _error(response.status, response.data)
        return response.data

    def close(self) -> None:
        """Close the connections."""
        self._pool.clear()


def _error(status: int, body: bytes) -> LeptonError:
    try:
        said = msgspec.json.decode(body, type=dict[str, str])
        message = f"{said['error']} (request {said['request_id']})"
    except (msgspec.DecodeError, KeyError):
        message = f"the server answered with status {status}"
    if status in (401, 403):
        return AccessDenied(message)
    if status == 404:
        return NotFound(message)
    return Unavailable(message) if status >= 500 else InvalidInput(message)


def _file(value: str | os.PathLike[str] | bytes) -> bytes:
    if isinstance(value, bytes):
        return value
    try:
        return Path(value).read_bytes()
    except OSError as error:
        raise InvalidInput(f"cannot read the file {value!s}: {error.strerror}") from error


def _npy(array: NDArray[Any]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def _plain(value: Any) -> Any:
    if isinstance(value, np.datetime64):
        return str(value)
    if isinstance(value, np.generic):
        return value.item()
    raise InvalidInput(
        f"a record holds a {type(value).__name__}: numbers, strings, booleans and None can be sent"
    )


def _parts(rows: Any, size: int) -> Iterator[Any]:
    for start in range(0, len(rows), size):
        yield rows[start : start + size]
