// SPDX-License-Identifier: Apache-2.0
/* A C program that runs Python in itself: host PROGRAM.py [ARGS]. MEMATTACH_PYTHON is the interpreter whose library it
 * is built with, by which Python finds its standard library. With MEMATTACH_HOST_THREAD Python lives in a second
 * thread, and the main one never enters it. Built with -DLOADER it is a program without Python that loads the rest as
 * a plug-in, host.so beside it, as web servers do. */
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef LOADER
int main(int argc, char **argv)
{
	char path[4096];
	int (*run)(int, char **);
	char *slash = strrchr(argv[0], '/');
	snprintf(path, sizeof(path), "%.*s/host.so", slash ? (int)(slash - argv[0]) : 1, slash ? argv[0] : ".");
	void *plugin = dlopen(path, RTLD_NOW | RTLD_GLOBAL);
	if (!plugin) {
		fprintf(stderr, "%s\n", dlerror());
		return 1;
	}
	*(void **)&run = dlsym(plugin, "run_host");
	return run(argc, argv);
}
#else
#include <Python.h>

static int argc_;
static char **argv_;
static int result = 1;

static void *python(void *unused)
{
	PyConfig config;
	const char *home = getenv("MEMATTACH_PYTHON");
	(void)unused;
	PyConfig_InitPythonConfig(&config);
	config.parse_argv = 0;
	if (PyStatus_Exception(PyConfig_SetBytesString(&config, &config.program_name, home ? home : "python3")) ||
	    PyStatus_Exception(PyConfig_SetBytesArgv(&config, argc_ - 1, argv_ + 1)) ||
	    PyStatus_Exception(Py_InitializeFromConfig(&config)))
		return NULL;
	PyConfig_Clear(&config);
	FILE *f = fopen(argv_[1], "r");
	if (!f)
		return NULL;
	result = PyRun_SimpleFileEx(f, argv_[1], 1);
	if (Py_FinalizeEx() < 0)
		result = 1;
	return NULL;
}

int run_host(int argc, char **argv);
int run_host(int argc, char **argv)
{
	pthread_t thread;
	argc_ = argc;
	argv_ = argv;
	if (argc < 2)
		return 2;
	if (!getenv("MEMATTACH_HOST_THREAD")) {
		python(NULL);
	} else {
		if (pthread_create(&thread, NULL, python, NULL))
			return 3;
		pthread_join(thread, NULL);
	}
	return result != 0;
}

int main(int argc, char **argv)
{
	return run_host(argc, argv);
}
#endif
