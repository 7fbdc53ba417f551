"""Train `traffic-flow`: a graph network that forecasts the next hour of PEMS08's 170 sensors.

Run it with ``python pretraining/traffic_flow.py``. Protocol of ``benchmarks/models/traffic.py``:
it learns from the official validation segment (12.4 days) alone, and the official test windows are
forecast once. Unlike there it knows no map of the roads, is half as wide, and learns for fewer
epochs.
"""

import time
from typing import Any

import numpy as np
from shipping import digests, folder, scratch, ship

from lepton_ai.data.open.pull import pull
from lepton_ai.ml.evaluation.forecasting import assess_forecast
from lepton_ai.ml.training import train_forecaster

PATH = "city/pems08/pems08_flow_t10713_17855.npz"
LEARNED, HISTORY, HORIZON = 3571, 12, 12
CHOSEN: dict[str, Any] = {
    "epochs": 4,
    "batch_size": 32,
    "learning_rate": 6e-3,
    "averaging": 0.98,
    "validation": 0.0,
    "common_scale": True,
    "width": 32,
    "channels": 8,
}


def main() -> None:
    started = time.process_time()
    with scratch() as place:
        flow = pull("pems08", workspace=place, mirror=folder()).to_polars()
        model = train_forecaster(
            flow[:LEARNED], time="moment", history=HISTORY, horizon=HORIZON, season="day",
            model_type="graph cnn", name="flow", workspace=place, **CHOSEN,
        )  # fmt: skip
        test = flow[LEARNED:]
        sensors = test.drop("moment").to_numpy().astype(np.float64)
        # Windows that end within the test part, as the official ones do.
        last = np.arange(HISTORY - 1, len(sensors) - HORIZON)
        answers = model.predict(test)[last]
        truth = np.stack([sensors[last + step] for step in range(1, HORIZON + 1)], axis=1)
        still = np.repeat(sensors[last][:, np.newaxis], HORIZON, axis=1)
        found, naive = (assess_forecast(truth, each, resamples=1) for each in (answers, still))
        ship(
            model, "traffic-flow", "traffic_flow.py", started,
            title="traffic flow of the next hour at 170 sensors of San Bernardino, "
            "a graph network",
            data="PEMS08, vehicles in five minutes at 170 sensors: the official validation segment "
            "(7 to 19 August 2016) learned from, the official test segment (19 to 31 August 2016) "
            "for the figures",
            sources=digests(PATH),
            licence="public data of the Caltrans Performance Measurement System (PeMS)",
            attribution="California Department of Transportation, PeMS; split of S. Guo et al., "
            "ASTGCN, AAAI 2019",
            unconfirmed="the repositories that this part was put together of state no licence; "
            "terms of use of PeMS itself could not be read. Check them before a use of your own",
            protocol=f"{len(last)} windows of 12 steps in and 12 out in the test segment, forecast "
            "once; means over all steps and sensors. One seed. Published figures (STSGCN 17.13, "
            "DCRNN 17.86) were learned from another segment, three times as long.",
            figures={
                "MAE, vehicles in five minutes": f"{found.mae:.2f}",
                "RMSE": f"{found.rmse:.2f}",
                "MAE 15, 30 and 60 minutes ahead": ", ".join(
                    f"{found.steps[step].mae:.2f}" for step in (2, 5, 11)
                ),
                "MAE of persistence": f"{naive.mae:.2f}",
            },
            use="Research, teaching, and a start for fine-tuning on later flow of these sensors.",
            inputs="the last 12 steps of five minutes with their `moment` and vehicles in five "
            "minutes at sensor000 to sensor169, without gaps",
            limits=(
                "A forecaster is tied to its sensors: it knows these 170 by place, and no others.",
                "It knows two weeks of one August, so no holidays, seasons or roadworks.",
                "Accidents and sensors that fail are not foreseen.",
            ),
        )  # fmt: skip


if __name__ == "__main__":
    main()
