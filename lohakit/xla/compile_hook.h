// The part of the PJRT C API that the compile function of compile_hook.c touches. The API's structures only ever grow at their ends, so that these
// beginnings of them stay valid; https://openxla.org/xla/pjrt has the whole.

#include <stddef.h>

typedef struct {
	size_t struct_size;
	void *extension_start;
	void *subject; // error, executable or loaded executable, by call
	void *result;
} pjrt_call;

typedef struct {
	size_t struct_size;
	void *extension_start;
	char *code;
	size_t code_size;
	const char *format;
	size_t format_size;
} pjrt_program;

typedef struct {
	size_t struct_size;
	void *extension_start;
	void *client;
	const pjrt_program *program;
	const char *options;
	size_t options_size;
	void *executable; // out
} pjrt_compile;

typedef struct {
	size_t struct_size;
	void *extension_start;
	void *executable;
	const char *bytes; // out
	size_t bytes_size; // out
	void *serialized;  // out, backs bytes
	void (*free_serialized)(void *);
} pjrt_serialize;

typedef struct {
	size_t struct_size;
	void *extension_start;
	void *client;
	const char *serialized;
	size_t serialized_size;
	void *executable; // out
	const char *options;
	size_t options_size;
} pjrt_deserialize;

typedef void *(*pjrt_function)(void *args); // returns an error or NULL

// The table of functions, and the places in it of those used here.
typedef struct {
	size_t struct_size;
	void *extension_start;
	size_t version_struct_size;
	void *version_extension_start;
	int major, minor;
	pjrt_function functions[];
} pjrt_api;

enum {
	ERROR_DESTROY = 0,
	CLIENT_COMPILE = 20,
	EXECUTABLE_DESTROY = 40,
	EXECUTABLE_SERIALIZE = 49,
	GET_EXECUTABLE = 51,
	DESERIALIZE_AND_LOAD = 56,
};
