#include "compile_hook.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#include "_cgo_export.h"

static pjrt_api *plugin_api; // the plugin's own table

static void drop(void *error) {
	pjrt_call args = {sizeof(size_t) * 3, NULL, error, NULL};
	plugin_api->functions[ERROR_DESTROY](&args);
}

// load makes an executable of stored bytes; 0 if the plugin refuses them.
static int load(pjrt_compile *c, const char *bytes, size_t size) {
	pjrt_deserialize args = {sizeof(args), NULL, c->client, bytes, size, NULL, NULL, 0};
	void *error = plugin_api->functions[DESERIALIZE_AND_LOAD](&args);
	if (error != NULL) {
		drop(error);
		return 0;
	}
	c->executable = args.executable;
	return 1;
}

static void store(pjrt_compile *c, char *key) {
	pjrt_call get = {sizeof(get), NULL, c->executable, NULL};
	void *error = plugin_api->functions[GET_EXECUTABLE](&get);
	if (error != NULL) {
		drop(error);
		return;
	}
	pjrt_serialize args = {sizeof(args), NULL, get.result};
	error = plugin_api->functions[EXECUTABLE_SERIALIZE](&args);
	if (error != NULL) {
		drop(error);
	} else {
		storeProgram(key, (char *)args.bytes, args.bytes_size);
		args.free_serialized(args.serialized);
	}
	pjrt_call destroy = {sizeof(size_t) * 3, NULL, get.result, NULL};
	plugin_api->functions[EXECUTABLE_DESTROY](&destroy);
}

// compile stands in for the plugin's function: it adds to the options, and looks for the program in the cache first.
static void *compile(void *args) {
	pjrt_compile *c = args;
	const char *given = c->options;
	size_t given_size = c->options_size, options_size = 0, size = 0;
	char *options = compileOptions(c->program->code, c->program->code_size, (char *)given, given_size, &options_size);
	c->options = options;
	c->options_size = options_size;
	char *key = programKey(c->program->code, c->program->code_size, options, options_size);
	long long start = programClock();
	char *bytes = loadProgram(key, &size);
	int loaded = bytes != NULL && load(c, bytes, size);
	free(bytes);
	void *error = NULL;
	if (!loaded) {
		error = plugin_api->functions[CLIENT_COMPILE](c);
		if (error == NULL && worthStoring(start)) store(c, key);
	}
	free(key);
	free(options);
	returnMemory(start);
	c->options = given;
	c->options_size = given_size;
	if (error != NULL) { // perhaps the plugin is too old for the options
		drop(error);
		error = plugin_api->functions[CLIENT_COMPILE](c);
	}
	return error;
}

// hooked_api opens the plugin and returns a copy of its table of functions with that compile in it; NULL if it cannot.
void *hooked_api(const char *plugin) {
	void *library = dlopen(plugin, RTLD_LAZY);
	if (library == NULL) return NULL;
	pjrt_api *(*get)(void) = (pjrt_api *(*)(void))dlsym(library, "GetPjrtApi");
	if (get == NULL) return NULL;
	plugin_api = get();
	if (plugin_api == NULL || plugin_api->major != 0) return NULL;
	if (plugin_api->struct_size < offsetof(pjrt_api, functions) + (DESERIALIZE_AND_LOAD + 1) * sizeof(pjrt_function)) return NULL;
	pjrt_api *copy = malloc(plugin_api->struct_size);
	memcpy(copy, plugin_api, plugin_api->struct_size);
	copy->functions[CLIENT_COMPILE] = compile;
	return copy;
}
