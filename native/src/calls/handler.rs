//! One immutable handler: how its arguments are bound, what is called, what becomes of its result.

use std::sync::Arc;

use pyo3::exceptions::{PyBaseException, PyTypeError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyDict, PyList, PyString, PyTuple};

use crate::calls::errors;
use crate::calls::inbox::{Inbox, Queue};
use crate::calls::kind::{Kind, Mode};
use crate::calls::results::{self, Failed};
use crate::values::{decode, encode};

/// Everything that a dispatch thread needs to run one version of a handler.
#[pyclass(frozen, weakref, module = "pycrust._native")]
pub(crate) struct Handler {
    function: Py<PyAny>,
    mode: Mode,
    validate: Option<Py<PyAny>>,
    /// Names for binding an array by position, in order.
    fields: Vec<Py<PyString>>,
    /// Whether an array may have more.
    more: bool,
    validate_result: Option<Py<PyAny>>,
    serialize_result: Option<Py<PyAny>>,
    context: Option<Py<PyAny>>,
    /// Keywords that every call gets beside its arguments; never changed.
    models: Option<Py<PyDict>>,
    kind: Kind,
    /// Whether the function takes a list of many calls' arguments, and gives a list of their results.
    batch: bool,
    /// Whether validating arguments runs nothing that the user wrote.
    pure: bool,
    /// The event loop that runs its calls, for an async handler.
    inbox: Option<Arc<Queue>>,
}

/// Arguments that are ready for the function.
pub(crate) struct Bounded<'py> {
    args: Bound<'py, PyTuple>,
    kwargs: Option<Bound<'py, PyDict>>,
}

#[pymethods]
impl Handler {
    #[new]
    #[pyo3(signature = (function, *, mode, validate=None, fields=Vec::new(), more=false, validate_result=None, serialize_result=None, context=None, kind=Kind::Function, inbox=None, batch=false, pure=false))]
    #[allow(clippy::too_many_arguments, reason = "all but the function are keywords")]
    fn new(
        function: Py<PyAny>,
        mode: Mode,
        validate: Option<Py<PyAny>>,
        fields: Vec<Py<PyString>>,
        more: bool,
        validate_result: Option<Py<PyAny>>,
        serialize_result: Option<Py<PyAny>>,
        context: Option<Py<PyAny>>,
        kind: Kind,
        inbox: Option<&Inbox>,
        batch: bool,
        pure: bool,
    ) -> PyResult<Self> {
        if validate.is_none() && matches!(mode, Mode::Fields | Mode::Model | Mode::Args) {
            return Err(PyTypeError::new_err("this mode needs `validate`"));
        }
        let inbox = inbox.map(|inbox| Arc::clone(&inbox.queue));
        if matches!(kind, Kind::Coroutine | Kind::AsyncGenerator) && inbox.is_none() {
            return Err(PyTypeError::new_err("this kind needs `inbox`"));
        }
        Ok(Self {
            function,
            mode,
            validate,
            fields,
            more,
            validate_result,
            serialize_result,
            context,
            models: None,
            kind,
            batch,
            pure,
            inbox,
        })
    }

    /// The same handler, whose calls get these keywords beside their arguments.
    fn bind_models(&self, py: Python<'_>, models: Option<&Bound<'_, PyDict>>) -> PyResult<Self> {
        let shared = |part: &Option<Py<PyAny>>| part.as_ref().map(|part| part.clone_ref(py));
        Ok(Self {
            function: self.function.clone_ref(py),
            mode: self.mode,
            validate: shared(&self.validate),
            fields: self.fields.iter().map(|field| field.clone_ref(py)).collect(),
            more: self.more,
            validate_result: shared(&self.validate_result),
            serialize_result: shared(&self.serialize_result),
            context: shared(&self.context),
            // A copy, so that nobody can change what calls of this version get.
            models: models.map(PyDictMethods::copy).transpose()?.map(Bound::unbind),
            kind: self.kind,
            batch: self.batch,
            pure: self.pure,
            inbox: self.inbox.clone(),
        })
    }

    /// Binds and validates arguments and calls the function: its result, coroutine or generator. Of a handler
    /// that runs many calls at once, the call is a batch of its own.
    fn start<'py>(&self, arguments: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        if self.batch {
            let items = PyList::new(arguments.py(), [self.batch_item(arguments)?])?;
            let result = match self.call_batch(&items, 1) {
                Ok(mut results) => results.remove(0),
                Err(Failed::Raised(error) | Failed::Misshapen(error)) => return Err(error),
            };
            return match result.cast::<PyBaseException>() {
                Ok(raised) => Err(PyErr::from_value(raised.clone().into_any())),
                Err(_) => Ok(result),
            };
        }
        self.call(&self.bind(arguments, None)?)
    }

    /// What is called.
    #[getter]
    fn function<'py>(&self, py: Python<'py>) -> &Bound<'py, PyAny> {
        self.function.bind(py)
    }

    /// Binds and validates arguments, of a handler that runs many calls at once as a batch of its own: those by
    /// position and those by name, its models among them.
    fn bound<'py>(
        &self,
        arguments: &Bound<'py, PyAny>,
    ) -> PyResult<(Bound<'py, PyTuple>, Bound<'py, PyDict>)> {
        let py = arguments.py();
        let (args, kwargs) = if self.batch {
            let items = PyList::new(py, [self.batch_item(arguments)?])?;
            (PyTuple::new(py, [items])?, None)
        } else {
            let Bounded { args, kwargs } = self.bind(arguments, None)?;
            (args, kwargs)
        };
        let all = kwargs.map_or_else(|| Ok(PyDict::new(py)), |kwargs| kwargs.copy())?;
        if let Some(models) = &self.models {
            all.update(models.bind(py).as_mapping())?;
        }
        Ok((args, all))
    }

    /// Validates and serialises a result, or an item of a streamed one.
    fn finish<'py>(&self, result: Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        self.finished(result)
    }

    /// Everything that a dispatch thread does with a call's bytes, without a call: the result's MessagePack.
    fn answer<'py>(&self, py: Python<'py>, payload: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
        let result = self.call(&self.bind(&decode::decode(py, payload)?, None)?)?;
        let mut out = Vec::new();
        encode::encode(&self.finished(result)?, &mut out)?;
        Ok(PyBytes::new(py, &out))
    }

    fn __traverse__(&self, visit: pyo3::PyVisit<'_>) -> Result<(), pyo3::PyTraverseError> {
        visit.call(&self.function)?;
        for part in [&self.validate, &self.validate_result, &self.serialize_result, &self.context] {
            visit.call(part)?;
        }
        visit.call(&self.models)?;
        Ok(())
    }
}

impl Handler {
    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    /// Whether it runs many calls at once.
    pub(crate) fn batches(&self) -> bool {
        self.batch
    }

    /// What one call brings to a batch: its one argument.
    pub(crate) fn batch_item<'py>(&self, arguments: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let Bounded { args, kwargs } = self.bind(arguments, None)?;
        match (args.iter().next(), kwargs.and_then(|kwargs| kwargs.values().iter().next())) {
            (Some(item), _) | (None, Some(item)) => Ok(item),
            (None, None) => Err(PyTypeError::new_err("this handler takes one argument")),
        }
    }

    /// Runs the function for many calls: their results.
    pub(crate) fn call_batch<'py>(
        &self,
        items: &Bound<'py, PyList>,
        calls: usize,
    ) -> Result<Vec<Bound<'py, PyAny>>, Failed> {
        let args = PyTuple::new(items.py(), [items]).map_err(Failed::Raised)?;
        let returned = self.call(&Bounded { args, kwargs: None }).map_err(Failed::Raised)?;
        results::results(&returned, calls).map_err(Failed::Misshapen)
    }

    /// The event loop that runs its calls, if one does.
    pub(crate) fn inbox(&self) -> Option<&Arc<Queue>> {
        self.inbox.as_ref()
    }

    /// Why a caller that takes a stream, or doesn't, can't call this.
    pub(crate) fn misfit(&self, streams: bool) -> Option<&'static str> {
        let generates = matches!(self.kind, Kind::Generator | Kind::AsyncGenerator);
        (generates && !streams).then_some("this handler streams its answer: call it with stream()")
    }

    /// One of the arguments that a caller streams, validated.
    pub(crate) fn item<'py>(&self, item: Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        match &self.validate {
            Some(validate) => validate.bind(item.py()).call1((item,)),
            None => Ok(item),
        }
    }

    /// Whether a rehearsal may validate arguments: that runs nothing of the user's.
    pub(crate) fn is_pure(&self) -> bool {
        self.pure && !self.batch && self.mode != Mode::Items
    }

    /// Binds and validates what a call brought; `items` stands for arguments that its caller streams. What doesn't fit
    /// is explained.
    pub(crate) fn bind<'py>(
        &self,
        arguments: &Bound<'py, PyAny>,
        items: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bounded<'py>> {
        self.fit(arguments, items).inspect_err(|error| self.explain(arguments, error))
    }

    /// Lets `pycrust.values.misfits.explain` say what may be wrong with arguments that don't fit.
    fn explain(&self, arguments: &Bound<'_, PyAny>, error: &PyErr) {
        let py = arguments.py();
        let explain = || -> PyResult<()> {
            let explain = py.import("pycrust.values.misfits")?.getattr("explain")?;
            let fields = PyTuple::new(py, &self.fields)?;
            explain.call1((error.value(py), self.mode.name(), fields, &self.validate, arguments)).map(drop)
        };
        // Without it, the error says what is wrong all the same.
        let _ = explain();
    }

    fn fit<'py>(
        &self,
        arguments: &Bound<'py, PyAny>,
        items: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bounded<'py>> {
        let py = arguments.py();
        if let (Some(_), false) = (items, self.mode == Mode::Items) {
            let reason = "this handler takes no stream of arguments: call it with call() or stream()";
            return Err(errors::precondition(py, reason));
        }
        match self.mode {
            Mode::Empty => {
                if !is_nothing(arguments) {
                    return Err(self.surplus(arguments)?);
                }
                Ok(Bounded { args: PyTuple::empty(py), kwargs: None })
            }
            Mode::Raw => raw(arguments),
            Mode::Items => {
                if let Some(items) = items {
                    return Ok(Bounded { args: PyTuple::new(py, [items])?, kwargs: None });
                }
                let Ok(values) = arguments.cast::<PyList>() else {
                    let reason = "this handler takes a stream of arguments, or all of them as one array";
                    return Err(PyTypeError::new_err(reason));
                };
                let items = values.iter().map(|item| self.item(item)).collect::<PyResult<Vec<_>>>()?;
                let items = PyList::new(py, items)?;
                let items = match self.kind {
                    Kind::Function | Kind::Generator => items.try_iter()?.into_any(),
                    Kind::Coroutine | Kind::AsyncGenerator => {
                        py.import("pycrust.calls.event_loop")?.call_method1("each", (items,))?
                    }
                };
                Ok(Bounded { args: PyTuple::new(py, [items])?, kwargs: None })
            }
            Mode::Fields => {
                let model = self.model(arguments)?;
                let kwargs = model.getattr(pyo3::intern!(py, "__dict__"))?.cast_into::<PyDict>()?;
                let extra = model.getattr(pyo3::intern!(py, "__pydantic_extra__"))?;
                if let Ok(extra) = extra.cast::<PyDict>()
                    && !extra.is_empty()
                {
                    let all = kwargs.copy()?;
                    all.update(extra.as_mapping())?;
                    return Ok(Bounded { args: PyTuple::empty(py), kwargs: Some(all) });
                }
                Ok(Bounded { args: PyTuple::empty(py), kwargs: Some(kwargs) })
            }
            Mode::Model => {
                let model = self.model(arguments)?;
                Ok(Bounded { args: PyTuple::new(py, [model])?, kwargs: None })
            }
            Mode::Args => {
                if self.too_many(arguments) && !self.more {
                    return Err(self.surplus(arguments)?);
                }
                let validated = self.validated(&args_kwargs(arguments)?);
                let validated = validated.map_err(|error| self.counted(error, arguments))?;
                let (args, kwargs) = validated.extract::<(Bound<'py, PyTuple>, Bound<'py, PyDict>)>()?;
                Ok(Bounded { args, kwargs: Some(kwargs) })
            }
        }
    }

    /// Runs the function with its models, inside its context, as far as it has any.
    pub(crate) fn call<'py>(&self, bound: &Bounded<'py>) -> PyResult<Bound<'py, PyAny>> {
        let Some(models) = &self.models else { return self.run(&bound.args, bound.kwargs.as_ref()) };
        let models = models.bind(bound.args.py());
        let Some(kwargs) = &bound.kwargs else { return self.run(&bound.args, Some(models)) };
        let all = kwargs.copy()?;
        all.update(models.as_mapping())?;
        self.run(&bound.args, Some(&all))
    }

    fn run<'py>(
        &self,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = args.py();
        let function = self.function.bind(py);
        let Some(context) = &self.context else { return function.call(args, kwargs) };
        let manager = context.bind(py).call0()?;
        manager.call_method0(pyo3::intern!(py, "__enter__"))?;
        match function.call(args, kwargs) {
            Ok(result) => {
                let none = py.None();
                manager.call_method1(pyo3::intern!(py, "__exit__"), (&none, &none, &none))?;
                Ok(result)
            }
            Err(error) => {
                let given = (error.get_type(py), error.value(py), error.traceback(py));
                let handled = manager.call_method1(pyo3::intern!(py, "__exit__"), given)?;
                if handled.is_truthy()? { Ok(py.None().into_bound(py)) } else { Err(error) }
            }
        }
    }

    /// Validates and serialises a result into something that can be encoded.
    pub(crate) fn finished<'py>(&self, mut result: Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        for step in [&self.validate_result, &self.serialize_result].into_iter().flatten() {
            result = step.bind(result.py()).call1((result,))?;
        }
        Ok(result)
    }

    fn validated<'py>(&self, arguments: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        match &self.validate {
            Some(validate) => validate.bind(arguments.py()).call1((arguments,)),
            None => Ok(arguments.clone()),
        }
    }

    /// The instance of the request model.
    fn model<'py>(&self, arguments: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        self.validated(&self.by_name(arguments)?).map_err(|error| self.counted(error, arguments))
    }

    /// Whether more came by position than there are names for.
    fn too_many(&self, arguments: &Bound<'_, PyAny>) -> bool {
        arguments.cast::<PyList>().is_ok_and(|values| values.len() > self.fields.len())
    }

    /// The error of arguments that nothing takes: `pycrust.handlers.structs.surplus`.
    #[cold]
    fn surplus(&self, arguments: &Bound<'_, PyAny>) -> PyResult<PyErr> {
        let py = arguments.py();
        let surplus = py.import("pycrust.handlers.structs")?.getattr("surplus")?;
        let fields: Vec<_> = self.fields.iter().map(|field| field.bind(py)).collect();
        Ok(PyErr::from_value(surplus.call1((fields, arguments, "arguments"))?))
    }

    /// The error of arguments that don't validate; of those by position, with how many there may be.
    #[cold]
    fn counted(&self, error: PyErr, arguments: &Bound<'_, PyAny>) -> PyErr {
        let py = arguments.py();
        if !arguments.is_exact_instance_of::<PyList>() {
            return error;
        }
        let count = || -> PyResult<PyErr> {
            let module = py.import("pycrust.handlers.structs")?;
            let fields: Vec<_> = self.fields.iter().map(|field| field.bind(py)).collect();
            Ok(PyErr::from_value(module.call_method1("counted", (error.value(py), fields, arguments))?))
        };
        count().unwrap_or_else(|second| second)
    }

    /// Arguments as a dict of fields: an array is zipped with the field names, a single value is the first.
    fn by_name<'py>(&self, arguments: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let py = arguments.py();
        if arguments.is_exact_instance_of::<PyDict>() {
            return Ok(arguments.clone());
        }
        let dict = PyDict::new(py);
        if let Ok(values) = arguments.cast::<PyList>() {
            if self.too_many(arguments) && !self.more {
                return Err(self.surplus(arguments)?);
            }
            for (field, value) in self.fields.iter().zip(values.iter()) {
                dict.set_item(field, value)?;
            }
        } else if let (Some(first), false) = (self.fields.first(), arguments.is_none()) {
            dict.set_item(first, arguments)?;
        }
        Ok(dict.into_any())
    }
}

fn is_nothing(arguments: &Bound<'_, PyAny>) -> bool {
    arguments.is_none()
        || arguments.cast::<PyList>().is_ok_and(PyListMethods::is_empty)
        || arguments.cast::<PyDict>().is_ok_and(PyDictMethods::is_empty)
}

fn raw<'py>(arguments: &Bound<'py, PyAny>) -> PyResult<Bounded<'py>> {
    let py = arguments.py();
    if arguments.is_none() {
        Ok(Bounded { args: PyTuple::empty(py), kwargs: None })
    } else if let Ok(kwargs) = arguments.cast::<PyDict>() {
        if let Some(key) = kwargs.keys().iter().find(|key| !key.is_instance_of::<PyString>()) {
            return Err(PyTypeError::new_err(format!(
                "arguments are named by strings, not by {}",
                key.repr()?
            )));
        }
        Ok(Bounded { args: PyTuple::empty(py), kwargs: Some(kwargs.clone()) })
    } else if let Ok(values) = arguments.cast::<PyList>() {
        Ok(Bounded { args: values.to_tuple(), kwargs: None })
    } else {
        Ok(Bounded { args: PyTuple::new(py, [arguments])?, kwargs: None })
    }
}

/// What pydantic-core's arguments validator takes: `ArgsKwargs(args, kwargs)`.
fn args_kwargs<'py>(arguments: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    static ARGS_KWARGS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let bound = raw(arguments)?;
    ARGS_KWARGS.import(arguments.py(), "pydantic_core", "ArgsKwargs")?.call1((bound.args, bound.kwargs))
}
