package xla

/*
#include <malloc.h>

#ifdef __GLIBC__

// XLA allocates the scratch memory of every run anew, and glibc would map it from the kernel and return it each time: 25,000 page
// faults and 40% of the time of a small training step. These settings keep what is freed for the next run. They take effect only
// before the first thread allocates, that is before main.
__attribute__((constructor)) static void keep_memory(void) {
	mallopt(M_ARENA_MAX, 1);
	mallopt(M_MMAP_MAX, 0);
	mallopt(M_TRIM_THRESHOLD, -1);
	mallopt(M_TOP_PAD, 64 << 20);
}

// From here on blocks of 32 MB and more, the most glibc allows, are mapped.
static void map_large_blocks(void) {
	mallopt(M_MMAP_THRESHOLD, 32 << 20);
	mallopt(M_MMAP_MAX, 65536); // glibc's default
}

static void give_memory_back(void) { malloc_trim(0); }

#else

static void map_large_blocks(void) {}

static void give_memory_back(void) {}

#endif
*/
import "C"

// giveMemoryBack returns the memory that the C allocator keeps for later runs to the operating system.
func giveMemoryBack() { C.give_memory_back() }

// mapLargeBlocks is called before a large program is compiled. Its scratch memory, kept in the heap, would be split up, so that each
// run took new memory, and its computation takes far longer than mapping.
func mapLargeBlocks() { C.map_large_blocks() }
