package xla

/*
#include <malloc.h>

#ifdef __GLIBC__

// XLA allocates the scratch memory of every run anew, and glibc would map it from the kernel and return it each time: 25,000 page
// faults and 40% of the time of a small training step. These settings keep what is freed for the next run. Only blocks so large that
// their computation takes far longer than mapping them are mapped: kept in the heap they would be split up, and each run would take
// new memory. The settings take effect only before the first thread allocates, that is before main.
__attribute__((constructor)) static void keep_memory(void) {
	mallopt(M_ARENA_MAX, 1);
	mallopt(M_MMAP_THRESHOLD, 32 << 20); // the most glibc allows
	mallopt(M_TRIM_THRESHOLD, -1);
	mallopt(M_TOP_PAD, 64 << 20);
}

static void give_memory_back(void) { malloc_trim(0); }

#else

static void give_memory_back(void) {}

#endif
*/
import "C"

// giveMemoryBack returns the memory that the C allocator keeps for later runs to the operating system.
func giveMemoryBack() { C.give_memory_back() }
