"""The zoo as a table: names, aliases, tasks, dotted paths, extras. A leaf."""

from typing import Any

from lepton_ai.ml.zoo.entry import MANAGED, Entry
from lepton_ai.ml.zoo.space import Choice, Real, Whole

__all__ = ["TABLE"]

_DEEP: dict[str, Any] = {
    "extra": "deep",
    "native": "safetensors",
    "distributed": True,
    "libraries": ("torch", "safetensors", "onnxscript"),
}

TABLE = (
    Entry(
        name="svm",
        aliases=("svc", "svr", "support vector machine", "support vector classifier", "rbf svm"),
        paths={"classification": "sklearn.svm:SVC", "regression": "sklearn.svm:SVR"},
        # scikit-learn's own C=1, gamma="scale": cross-validation inside training parts of the
        # pneumonia images, and on its four small data sets, found none that is better by more
        # than the noise.
        scaled=True,
        calibrated=True,
        managed=(*MANAGED, "probability", "cache_size"),
        space={"C": Real(0.05, 50, log=True), "gamma": Real(1e-3, 1, log=True)},
    ),
    Entry(
        name="random forest",
        aliases=("rf", "random forest classifier", "random forest regressor"),
        paths={
            "classification": "sklearn.ensemble:RandomForestClassifier",
            "regression": "sklearn.ensemble:RandomForestRegressor",
        },
        defaults={"n_estimators": 200},
        parallel=True,
        space={
            "max_features": Choice(("sqrt", 0.3, 0.5, 0.7, 1.0)),
            "min_samples_leaf": Whole(1, 20, log=True),
            "max_samples": Choice((None, 0.5, 0.8)),
        },
    ),
    Entry(
        name="extra trees",
        aliases=("et", "extremely randomized trees", "extra trees classifier",
                 "extra trees regressor"),
        paths={
            "classification": "sklearn.ensemble:ExtraTreesClassifier",
            "regression": "sklearn.ensemble:ExtraTreesRegressor",
        },
        defaults={"n_estimators": 200},
        parallel=True,
        space={
            "max_features": Choice(("sqrt", 0.3, 0.5, 0.7, 1.0)),
            "min_samples_leaf": Whole(1, 20, log=True),
            "max_depth": Choice((None, 6, 10, 16)),
        },
    ),
    Entry(
        name="naive bayes",
        aliases=("nb", "gaussian nb", "gaussian naive bayes"),
        paths={"classification": "sklearn.naive_bayes:GaussianNB"},
        # Standardising changes nothing in exact arithmetic and keeps the squares in range.
        scaled=True,
    ),
    Entry(
        name="decision tree",
        aliases=("dt", "tree", "cart", "decision tree classifier", "decision tree regressor"),
        paths={
            "classification": "sklearn.tree:DecisionTreeClassifier",
            "regression": "sklearn.tree:DecisionTreeRegressor",
        },
        space={"max_depth": Whole(2, 16), "min_samples_leaf": Whole(1, 50, log=True)},
    ),
    Entry(
        name="k-nearest",
        aliases=("knn", "k nearest neighbors", "k nearest neighbours", "k neighbors classifier",
                 "k neighbors regressor"),
        paths={
            "classification": "sklearn.neighbors:KNeighborsClassifier",
            "regression": "sklearn.neighbors:KNeighborsRegressor",
        },
        scaled=True,
        space={"n_neighbors": Whole(3, 60, log=True), "p": Choice((1, 2))},
    ),
    Entry(
        name="logistic regression",
        aliases=("logistic", "logit", "lr"),
        paths={"classification": "sklearn.linear_model:LogisticRegression"},
        defaults={"max_iter": 1000},
        scaled=True,
        space={"C": Real(1e-3, 30, log=True)},
    ),
    Entry(
        name="multilayer perceptron",
        aliases=("mlp", "perceptron", "neural network", "mlp classifier", "mlp regressor"),
        paths={
            "classification": "sklearn.neural_network:MLPClassifier",
            "regression": "sklearn.neural_network:MLPRegressor",
        },
        defaults={"max_iter": 500},
        scaled=True,
        space={
            "hidden_layer_sizes": Choice((16, 32, 64, 128)),
            "alpha": Real(1e-4, 10, log=True),
            "learning_rate_init": Real(3e-4, 1e-2, log=True),
            "early_stopping": Choice((True, False)),
        },
    ),
    Entry(
        name="histogram gradient boosting",
        aliases=("hist gradient boosting", "gradient boosting", "boosting", "hgb", "histgb",
                 "hist gradient boosting classifier", "hist gradient boosting regressor"),
        paths={
            "classification": "sklearn.ensemble:HistGradientBoostingClassifier",
            "regression": "sklearn.ensemble:HistGradientBoostingRegressor",
        },
        space={
            "learning_rate": Real(0.01, 0.2, log=True),
            "max_iter": Whole(50, 500, log=True),
            "max_leaf_nodes": Whole(4, 48, log=True),
            "min_samples_leaf": Whole(5, 60, log=True),
            "l2_regularization": Real(1e-3, 30, log=True),
            "max_features": Choice((1.0, 0.7, 0.4)),
        },
    ),
    Entry(
        name="lightgbm",
        aliases=("lgbm", "light gradient boosting", "lgbm classifier", "lgbm regressor"),
        paths={
            "classification": "lightgbm:LGBMClassifier",
            "regression": "lightgbm:LGBMRegressor",
        },
        extra="boost",
        # One way of summing, so that any number of threads comes to the same bits.
        # Rows are drawn anew for each tree where `subsample` says that not all are taken.
        defaults={"n_estimators": 200, "learning_rate": 0.05, "subsample_freq": 1,
                  "deterministic": True, "force_row_wise": True, "verbose": -1},
        parallel=True,
        native="lightgbm",
        libraries=("lightgbm", "onnxmltools"),
        space={
            "learning_rate": Real(0.01, 0.1, log=True),
            "n_estimators": Whole(50, 600, log=True),
            "num_leaves": Whole(3, 48, log=True),
            "min_child_samples": Whole(3, 60, log=True),
            "reg_lambda": Real(1e-3, 30, log=True),
            "colsample_bytree": Real(0.3, 1.0),
            "subsample": Choice((1.0, 0.7, 0.5)),
        },
    ),
    Entry(
        name="catboost",
        aliases=("catboost classifier", "catboost regressor"),
        paths={
            "classification": "lepton_ai.ml.zoo.catboost:CatBoostClassifier",
            "regression": "lepton_ai.ml.zoo.catboost:CatBoostRegressor",
        },
        extra="boost",
        parallel=True,
        native="catboost",
        libraries=("catboost",),
        space={
            "iterations": Whole(100, 600, log=True),
            "learning_rate": Real(0.02, 0.15, log=True),
            "depth": Whole(3, 7),
            "l2_leaf_reg": Real(1, 30, log=True),
            "random_strength": Real(0.3, 5, log=True),
            "rsm": Real(0.4, 1.0),
        },
    ),
    Entry(
        name="linear svm",
        aliases=("linear svc", "linear svr", "linear support vector machine"),
        paths={
            "classification": "sklearn.svm:LinearSVC",
            "regression": "sklearn.svm:LinearSVR",
        },
        defaults={"max_iter": 10_000},
        scaled=True,
        calibrated=True,
        space={"C": Real(1e-3, 30, log=True)},
    ),
    Entry(
        name="multinomial naive bayes",
        aliases=("multinomial nb", "multinomial bayes"),
        paths={"classification": "lepton_ai.ml.zoo.bayes:MultinomialBayes"},
    ),
    Entry(
        name="categorical naive bayes",
        aliases=("categorical nb", "categorical bayes"),
        paths={"classification": "lepton_ai.ml.zoo.bayes:CategoricalBayes"},
    ),
    Entry(
        name="gaussian process",
        aliases=("gp", "kriging", "gaussian process classifier", "gaussian process regressor"),
        paths={
            "classification": "sklearn.gaussian_process:GaussianProcessClassifier",
            "regression": "lepton_ai.ml.zoo.process:GaussianProcess",
        },
        scaled=True,
    ),
    Entry(
        name="k-means",
        aliases=("lloyd",),
        paths={"clustering": "lepton_ai.ml.zoo.prototypes:KMeansClusterer"},
        scaled=True,
    ),
    Entry(
        name="mini-batch k-means",
        aliases=("batch k-means",),
        paths={"clustering": "lepton_ai.ml.zoo.prototypes:MiniBatchKMeansClusterer"},
        scaled=True,
    ),
    Entry(
        name="gaussian mixture",
        aliases=("gmm", "mixture of gaussians"),
        paths={"clustering": "sklearn.mixture:GaussianMixture"},
        defaults={"n_components": 8, "n_init": 3},
        scaled=True,
    ),
    Entry(
        name="dbscan",
        aliases=("density clustering",),
        paths={"clustering": "lepton_ai.ml.zoo.prototypes:DBSCANClusterer"},
        scaled=True,
    ),
    Entry(
        name="hdbscan",
        aliases=("hierarchical dbscan",),
        paths={"clustering": "lepton_ai.ml.zoo.prototypes:HDBSCANClusterer"},
        scaled=True,
    ),
    Entry(
        name="agglomerative",
        aliases=("agglomerative clustering", "hierarchical clustering", "ward"),
        paths={"clustering": "lepton_ai.ml.zoo.prototypes:AgglomerativeClusterer"},
        scaled=True,
    ),
    Entry(
        name="isolation forest",
        aliases=("iforest",),
        paths={"detection": "sklearn.ensemble:IsolationForest"},
        parallel=True,
        managed=(*MANAGED, "contamination"),
    ),
    Entry(
        name="local outlier factor",
        aliases=("lof",),
        paths={"detection": "sklearn.neighbors:LocalOutlierFactor"},
        # Scores new rows, not only those it was fitted to.
        defaults={"novelty": True},
        scaled=True,
        managed=(*MANAGED, "contamination", "novelty"),
    ),
    Entry(
        name="one-class svm",
        aliases=("ocsvm", "one class support vector machine"),
        paths={"detection": "sklearn.svm:OneClassSVM"},
        scaled=True,
    ),
    Entry(
        name="linear regression",
        aliases=("linear", "ols", "least squares"),
        paths={"regression": "sklearn.linear_model:LinearRegression"},
        scaled=True,
    ),
    Entry(
        name="ridge",
        aliases=("ridge regression",),
        paths={"regression": "sklearn.linear_model:Ridge"},
        scaled=True,
        space={"alpha": Real(1e-2, 1e4, log=True)},
    ),
    Entry(
        name="cnn",
        aliases=("convolutional neural network", "residual network", "resnet", "image network"),
        paths={
            "classification": "lepton_ai.ml.networks.residual:ResidualClassifier",
            "regression": "lepton_ai.ml.networks.residual:ResidualRegressor",
        },
        fine=True,
        **_DEEP,
    ),
    Entry(
        name="lstm",
        aliases=("long short-term memory", "recurrent network", "rnn"),
        paths={
            "classification": "lepton_ai.ml.networks.recurrent:RecurrentClassifier",
            "regression": "lepton_ai.ml.networks.recurrent:RecurrentRegressor",
        },
        **_DEEP,
    ),
    Entry(
        name="gru",
        aliases=("gated recurrent unit",),
        paths={
            "classification": "lepton_ai.ml.networks.recurrent:RecurrentClassifier",
            "regression": "lepton_ai.ml.networks.recurrent:RecurrentRegressor",
        },
        defaults={"cell": "gru"},
        **_DEEP,
    ),
    Entry(
        name="remaining life lstm",
        aliases=("remaining life", "remaining useful life", "rul", "rul lstm"),
        paths={"regression": "lepton_ai.ml.networks.recurrent:RemainingLifeRegressor"},
        **_DEEP,
    ),
    Entry(
        name="temporal cnn",
        aliases=("tcn", "temporal convolution", "series cnn"),
        paths={
            "classification": "lepton_ai.ml.networks.temporal:TemporalClassifier",
            "regression": "lepton_ai.ml.networks.temporal:TemporalRegressor",
        },
        **_DEEP,
    ),
    Entry(
        name="graph cnn",
        aliases=("graph forecaster", "traffic cnn", "temporal graph cnn", "cnn forecaster"),
        paths={"forecasting": "lepton_ai.ml.networks.forecaster:GraphForecaster"},
        managed=(*MANAGED, "season"),
        **_DEEP,
    ),
    Entry(
        name="persistence",
        aliases=("last value", "naive forecast"),
        paths={"forecasting": "lepton_ai.ml.forecasting.baselines:Persistence"},
        managed=(*MANAGED, "season"),
    ),
    Entry(
        name="seasonal naive",
        aliases=("seasonal persistence", "same time yesterday"),
        paths={"forecasting": "lepton_ai.ml.forecasting.baselines:SeasonalNaive"},
        managed=(*MANAGED, "season"),
    ),
    Entry(
        name="historical average",
        aliases=("time of day average", "profile"),
        paths={"forecasting": "lepton_ai.ml.forecasting.baselines:HistoricalAverage"},
        managed=(*MANAGED, "season"),
    ),
    Entry(
        name="ridge forecast",
        aliases=("ridge forecaster", "autoregression"),
        paths={"forecasting": "lepton_ai.ml.forecasting.baselines:RidgeForecaster"},
        managed=(*MANAGED, "season"),
    ),
    Entry(
        name="table cnn",
        aliases=("table convolution", "tabular cnn", "1-d cnn"),
        paths={
            "classification": "lepton_ai.ml.networks.tabular:TableConvolutionClassifier",
            "regression": "lepton_ai.ml.networks.tabular:TableConvolutionRegressor",
        },
        **_DEEP,
    ),
    Entry(
        name="deep perceptron",
        aliases=("deep mlp", "tabular network", "residual perceptron"),
        paths={
            "classification": "lepton_ai.ml.networks.tabular:PerceptronClassifier",
            "regression": "lepton_ai.ml.networks.tabular:PerceptronRegressor",
        },
        space={
            "learning_rate": Real(5e-4, 2e-2, log=True),
            "weight_decay": Real(1e-4, 1, log=True),
            "batch_size": Choice((32, 64, 128, 256)),
        },
        **_DEEP,
    ),
    Entry(
        name="autoencoder",
        aliases=("reconstruction",),
        paths={"detection": "lepton_ai.ml.networks.autoencoder:Autoencoder"},
        **_DEEP,
    ),
    Entry(
        name="baseline",
        aliases=("class shares", "mean", "constant", "dummy"),
        paths={
            "classification": "lepton_ai.ml.zoo.constant:ConstantClassifier",
            "regression": "lepton_ai.ml.zoo.constant:ConstantRegressor",
        },
    ),
    Entry(
        name="ensemble",
        aliases=("blend", "weighted ensemble"),
        paths={
            "classification": "lepton_ai.ml.selection.ensemble:EnsembleClassifier",
            "regression": "lepton_ai.ml.selection.ensemble:EnsembleRegressor",
        },
        # Its members read the same features: those that must be standardised need it, and
        # trees answer alike either way.
        scaled=True,
        native="ensemble",
    ),
    Entry(
        name="lasso",
        aliases=("lasso regression",),
        paths={"regression": "sklearn.linear_model:Lasso"},
        scaled=True,
        space={"alpha": Real(1e-4, 10, log=True)},
    ),
)  # fmt: skip
