"""Ask an endpoint of a table's model over the Open Inference Protocol, in binary.

python examples/client_tritonclient.py ENDPOINT TABLE.csv

Any client of the protocol works; this is NVIDIA's (`pip install 'tritonclient[http]'`). It learns
from the server which columns to send. On another machine set URL and TOKEN to what
`lepton status --url` and `lepton token` print here.
"""

import os
import subprocess
import sys

import numpy as np
import polars as pl
import tritonclient.http as triton

NUMPY = {"FP64": np.float64, "BOOL": np.bool_, "BYTES": np.object_}


def printed(*command: str) -> str:
    return subprocess.check_output(["lepton", *command], text=True).strip()


def main(endpoint: str, path: str) -> None:
    url = os.environ.get("URL") or printed("status", "--url")
    headers = {"Authorization": f"Bearer {os.environ.get('TOKEN') or printed('token')}"}
    rows = pl.read_csv(path)
    client = triton.InferenceServerClient(url.removeprefix("http://"))
    inputs = []
    for field in client.get_model_metadata(endpoint, headers=headers)["inputs"]:
        column = rows[field["name"]]
        values = column.cast(pl.String) if field["datatype"] == "BYTES" else column
        given = triton.InferInput(field["name"], [len(rows)], field["datatype"])
        given.set_data_from_numpy(values.to_numpy().astype(NUMPY[field["datatype"]]))
        inputs.append(given)
    answer = client.infer(endpoint, inputs, headers=headers)
    labels = answer.as_numpy("label")
    for label, shares in zip(labels, answer.as_numpy("probabilities"), strict=True):
        print(label.decode(), *(f"{share:.3f}" for share in shares))
    client.close()


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
