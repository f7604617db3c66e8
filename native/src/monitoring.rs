//! Metrics as text, and over HTTP.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use pycrust_engine::{Format, exposition};
use pycrust_protocol::reserved::{MetricFamily, MetricKind, MetricSeries, Metrics};
use pycrust_transport::{HttpRequest, HttpResponse, HttpServer, Respond};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::attaching::attach;
use crate::calls::types::PyEngine;

/// Pairs of an endpoint's name and its answer, as MessagePack.
type Answers = Vec<(String, Option<Vec<u8>>)>;

/// Of the exporter itself: whether a worker told.
const TOLD: &str = "pycrust_endpoint_answered";

/// What an engine answers: `/metrics`, and `/healthz` for whoever only asks whether it serves.
pub(crate) fn answers(engine: Weak<PyEngine>) -> Respond {
    Box::new(move |request| match (request.path, engine.upgrade()) {
        ("/metrics", Some(engine)) => text(&[engine.metrics()], request),
        ("/healthz", Some(engine)) => {
            let status = engine.health().status;
            HttpResponse::text(if status == "serving" { 200 } else { 503 }, &format!("{status}\n"))
        }
        ("/healthz" | "/metrics", None) => HttpResponse::text(503, "stopped\n"),
        _ => HttpResponse::text(404, "here are /metrics and /healthz\n"),
    })
}

fn text(metrics: &[Metrics], request: &HttpRequest<'_>) -> HttpResponse {
    let format = Format::accepted(request.accept);
    HttpResponse { status: 200, content_type: format.content_type(), body: exposition(metrics, format) }
}

/// The answers of workers to `pycrust.metrics`, each under the name that it was asked by, whatever it says itself; and who
/// gave none.
fn read(answers: Answers) -> Vec<Metrics> {
    let labelled = |endpoint: &str| vec![("endpoint".to_owned(), endpoint.to_owned())];
    let mut told = Vec::new();
    let mut all: Vec<Metrics> = Vec::new();
    for (endpoint, answer) in answers {
        let metrics = answer.and_then(|answer| rmp_serde::from_slice::<Metrics>(&answer).ok());
        let value = f64::from(u8::from(metrics.is_some()));
        told.push(MetricSeries { labels: labelled(&endpoint), value, ..MetricSeries::default() });
        let Some(mut metrics) = metrics else { continue };
        for series in metrics.families.iter_mut().flat_map(|family| &mut family.series) {
            let others =
                std::mem::take(&mut series.labels).into_iter().filter(|(name, _)| name != "endpoint");
            series.labels = labelled(&endpoint).into_iter().chain(others).collect();
        }
        metrics.families.retain(|family| family.name != TOLD);
        all.push(metrics);
    }
    let help = "Whether the endpoint's worker told its metrics when it was asked last.";
    let told = MetricFamily {
        name: TOLD.into(),
        kind: MetricKind::Gauge,
        help: help.into(),
        bounds: Vec::new(),
        series: told,
    };
    all.push(Metrics { families: vec![told] });
    all
}

/// The metrics of some workers as text: Prometheus' format, or OpenMetrics. `answers` are pairs of an endpoint's name and
/// its answer to `pycrust.metrics` as MessagePack, `None` if it gave none.
#[pyfunction]
#[pyo3(signature = (answers, *, openmetrics=false))]
pub(crate) fn metrics_text(py: Python<'_>, answers: Answers, openmetrics: bool) -> String {
    let format = if openmetrics { Format::OpenMetrics } else { Format::Prometheus };
    py.detach(|| exposition(&read(answers), format))
}

/// Answers `GET /metrics` with what `collect()` gives, pairs as `metrics_text` takes them, until it is stopped.
#[pyclass(frozen, module = "pycrust._native")]
pub(crate) struct MetricsServer(Mutex<Option<HttpServer>>);

#[pymethods]
impl MetricsServer {
    #[new]
    fn new(py: Python<'_>, address: &str, collect: Py<PyAny>) -> PyResult<Self> {
        let collect = Arc::new(collect);
        let respond: Respond = Box::new(move |request| match request.path {
            "/healthz" => HttpResponse::text(200, "serving\n"),
            "/metrics" => match attach(|py| collected(py, &collect)) {
                Ok(answers) => text(&read(answers), request),
                Err(error) => HttpResponse::text(500, &format!("the endpoints can't be asked: {error}\n")),
            },
            _ => HttpResponse::text(404, "here are /metrics and /healthz\n"),
        });
        Ok(Self(Mutex::new(Some(py.detach(|| HttpServer::start(address, respond))?))))
    }

    /// Where it listens, as `host:port`.
    #[getter]
    fn address(&self) -> PyResult<String> {
        let server = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let server = server.as_ref().ok_or_else(|| PyValueError::new_err("it was stopped"))?;
        Ok(server.address().to_string())
    }

    /// Ends it.
    fn stop(&self, py: Python<'_>) {
        let server = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        py.detach(|| drop(server));
    }
}

impl Drop for MetricsServer {
    fn drop(&mut self) {
        // Its thread may wait for the interpreter, which whoever drops this has.
        Python::attach(|py| self.stop(py));
    }
}

fn collected(py: Python<'_>, collect: &Py<PyAny>) -> PyResult<Answers> {
    let pairs = collect.bind(py).call0()?.extract::<Vec<(String, Option<Bound<'_, PyBytes>>)>>()?;
    Ok(pairs
        .into_iter()
        .map(|(name, answer)| (name, answer.map(|bytes| bytes.as_bytes().to_vec())))
        .collect())
}
