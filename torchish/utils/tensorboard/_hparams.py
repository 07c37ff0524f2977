"""The records of a run's hyperparameters."""

from __future__ import annotations

from typing import Any

from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata

from ..._tensor.tensor import Tensor

_KINDS = (
    (bool, "bool_value", "DATA_TYPE_BOOL"), (str, "string_value", "DATA_TYPE_STRING"),
    ((int, float, Tensor), "number_value", "DATA_TYPE_FLOAT64"),
)  # fmt: skip


def _check(hparams: Any, metrics: Any, domains: Any) -> None:
    for name, value in (("hparam_dict", hparams), ("metric_dict", metrics)):
        if not isinstance(value, dict):
            raise TypeError(f"parameter: {name} should be a dictionary, nothing logged.")
    if not isinstance(domains, dict):
        raise TypeError("parameter: hparam_domain_discrete should be a dictionary, nothing logged.")
    for key, values in domains.items():
        fits = key in hparams and isinstance(values, list)
        if not fits or not all(isinstance(v, type(hparams[key])) for v in values):
            raise TypeError(
                f"parameter: hparam_domain_discrete[{key}] should be a list of same type as "
                f"hparam_dict[{key}]."
            )


def hparams(hparam_dict: Any, metric_dict: Any, hparam_domain_discrete: Any = None) -> Any:
    """Three records: the experiment, the start of the session and its end.

    Raises: TypeError, ValueError for what TensorBoard cannot show.
    """
    from google.protobuf import struct_pb2
    from tensorboard.plugins.hparams import api_pb2, metadata, plugin_data_pb2

    domains = hparam_domain_discrete or {}
    _check(hparam_dict, metric_dict, domains)
    start, infos = plugin_data_pb2.SessionStartInfo(), []
    for key, value in hparam_dict.items():
        if value is None:
            continue
        kind = next((k for k in _KINDS if isinstance(value, k[0])), None)
        if kind is None:
            raise ValueError("value should be one of int, float, str, bool, or torch.Tensor")
        _, field, dtype = kind
        setattr(start.hparams[key], field, value.item() if field == "number_value"
                and isinstance(value, Tensor) else value)  # fmt: skip
        domain = None
        if key in domains:
            values = [struct_pb2.Value(**{field: v}) for v in domains[key]]
            domain = struct_pb2.ListValue(values=values)
        infos.append(api_pb2.HParamInfo(name=key, type=api_pb2.DataType.Value(dtype),
                                        domain_discrete=domain))  # fmt: skip
    measured = [api_pb2.MetricInfo(name=api_pb2.MetricName(tag=key)) for key in metric_dict]
    experiment = api_pb2.Experiment(hparam_infos=infos, metric_infos=measured)
    end = plugin_data_pb2.SessionEndInfo(status=api_pb2.Status.Value("STATUS_SUCCESS"))

    def record(tag: str, **content: Any) -> Any:
        data = plugin_data_pb2.HParamsPluginData(version=metadata.PLUGIN_DATA_VERSION, **content)
        about = SummaryMetadata.PluginData(plugin_name=metadata.PLUGIN_NAME,
                                           content=data.SerializeToString())  # fmt: skip
        return Summary(value=[Summary.Value(tag=tag, metadata=SummaryMetadata(plugin_data=about))])

    return (
        record(metadata.EXPERIMENT_TAG, experiment=experiment),
        record(metadata.SESSION_START_INFO_TAG, session_start_info=start),
        record(metadata.SESSION_END_INFO_TAG, session_end_info=end),
    )
