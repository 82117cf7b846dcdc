// SPDX-License-Identifier: Apache-2.0
/* An extension as many are: a type without tp_traverse and without __sizeof__, whose memory only its C code knows; and
 * objects in static variables. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdlib.h>
#include <string.h>

struct inner {
	char *text;
	size_t bytes;
};

struct blob {
	PyObject ob_base;
	PyObject *held;
	char *data;
	size_t bytes;
	struct inner *inner;
	struct blob *shares; /* its data is ours, too */
};

static PyObject *volatile kept[64]; /* written only: an optimiser would leave it out */
static int kept_count;

static void blob_dealloc(PyObject *self)
{
	struct blob *b = (struct blob *)self;
	Py_XDECREF(b->held);
	Py_XDECREF((PyObject *)b->shares);
	if (!b->shares)
		free(b->data);
	if (b->inner)
		free(b->inner->text);
	free(b->inner);
	Py_TYPE(self)->tp_free(self);
}

/* Blob(held, bytes of its data, bytes behind a second pointer, other): the data of `other` if that is a Blob */
static int blob_init(PyObject *self, PyObject *args, PyObject *kwargs)
{
	struct blob *b = (struct blob *)self;
	PyObject *held, *other;
	Py_ssize_t bytes, more;
	(void)kwargs;
	if (!PyArg_ParseTuple(args, "OnnO", &held, &bytes, &more, &other))
		return -1;
	Py_INCREF(held);
	b->held = held;
	b->bytes = (size_t)bytes;
	if (other != Py_None) {
		Py_INCREF(other);
		b->shares = (struct blob *)other;
		b->data = b->shares->data;
	} else if (bytes) {
		b->data = malloc((size_t)bytes);
		memset(b->data, 'b', (size_t)bytes);
	}
	if (more) {
		b->inner = malloc(sizeof(*b->inner));
		b->inner->text = malloc((size_t)more);
		memset(b->inner->text, 'i', (size_t)more);
		b->inner->bytes = (size_t)more;
	}
	return 0;
}

static PyTypeObject blob_type = {
	PyVarObject_HEAD_INIT(NULL, 0) /* ends in a comma */
		.tp_name = "blobtype.Blob",
	.tp_basicsize = sizeof(struct blob),
	.tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
	.tp_dealloc = blob_dealloc,
	.tp_init = blob_init,
	.tp_new = PyType_GenericNew,
};

static PyObject *keep(PyObject *module, PyObject *object)
{
	(void)module;
	if (kept_count == 64)
		return PyErr_Format(PyExc_ValueError, "full");
	Py_INCREF(object);
	kept[kept_count++] = object;
	Py_RETURN_NONE;
}

static PyMethodDef methods[] = { { "keep", keep, METH_O, NULL }, { NULL, NULL, 0, NULL } };
static struct PyModuleDef module = { PyModuleDef_HEAD_INIT, .m_name = "blobtype", .m_size = -1, .m_methods = methods };

PyMODINIT_FUNC PyInit_blobtype(void)
{
	PyObject *m = PyType_Ready(&blob_type) ? NULL : PyModule_Create(&module);
	if (m) {
		Py_INCREF(&blob_type);
		PyModule_AddObject(m, "Blob", (PyObject *)&blob_type);
	}
	return m;
}
