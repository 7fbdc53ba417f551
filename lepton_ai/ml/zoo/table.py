"""The zoo as a table: names, aliases, tasks, dotted paths, extras. A leaf."""

from typing import Any

from lepton_ai.ml.zoo.entry import MANAGED, Entry

__all__ = ["TABLE"]

_DEEP: dict[str, Any] = {
    "extra": "deep",
    "native": "safetensors",
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
    ),
    Entry(
        name="logistic regression",
        aliases=("logistic", "logit", "lr"),
        paths={"classification": "sklearn.linear_model:LogisticRegression"},
        defaults={"max_iter": 1000},
        scaled=True,
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
    ),
    Entry(
        name="histogram gradient boosting",
        aliases=("hist gradient boosting", "gradient boosting", "boosting", "hgb", "histgb",
                 "hist gradient boosting classifier", "hist gradient boosting regressor"),
        paths={
            "classification": "sklearn.ensemble:HistGradientBoostingClassifier",
            "regression": "sklearn.ensemble:HistGradientBoostingRegressor",
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
        defaults={"n_estimators": 200, "learning_rate": 0.05, "deterministic": True,
                  "force_row_wise": True, "verbose": -1},
        parallel=True,
        native="lightgbm",
        libraries=("lightgbm", "onnxmltools"),
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
    ),
    Entry(
        name="cnn",
        aliases=("convolutional neural network", "residual network", "resnet", "image network"),
        paths={
            "classification": "lepton_ai.ml.networks.residual:ResidualClassifier",
            "regression": "lepton_ai.ml.networks.residual:ResidualRegressor",
        },
        **_DEEP,
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
        **_DEEP,
    ),
    Entry(
        name="autoencoder",
        aliases=("reconstruction",),
        paths={"detection": "lepton_ai.ml.networks.autoencoder:Autoencoder"},
        **_DEEP,
    ),
    Entry(
        name="lasso",
        aliases=("lasso regression",),
        paths={"regression": "sklearn.linear_model:Lasso"},
        scaled=True,
    ),
)  # fmt: skip
