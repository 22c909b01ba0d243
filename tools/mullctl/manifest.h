/* SPDX-License-Identifier: MIT */
/*
 * The manifest in memory: the package's own structures, and beside them where
 * in the file each word stands.  docs/manifest.md describes the file.
 */
#ifndef MULLCTL_MANIFEST_H
#define MULLCTL_MANIFEST_H

#include <mullion/control.h>
#include <mullion/description.h>
#include <stdbool.h>
#include <sys/types.h>

#include "mistakes.h"

#define MANIFEST_FIELDS (MULL_FIELD_CACHE + 1)
/* What the hypervisor itself needs of the machine's memory. */
#define MANIFEST_HYPERVISOR_MEMORY (64ull << 20)

/* In place of a VM's index: about the manifest as a whole. */
#define MANIFEST_ITSELF (-2)

/* A file that goes into the package, once for each kind it is used as. */
struct manifest_image {
	char *path;
	char name[MULL_NAME_MAX]; /* its last part, for messages */
	uint32_t kind;		  /* enum mull_image_kind */
	uint32_t kinds;		  /* 1 << kind of each that the file is */
	uint64_t size;
	uint64_t needs; /* bytes of guest memory to start in, where known */
	dev_t device;
	ino_t inode;
	/* The hypervisor's, in place of a file; path is NULL. */
	const struct mull_image_status *there;
};

/* The hypervisor that a single VM is made for. */
struct manifest_target {
	const struct mull_image_status *images;
	size_t image_count;
	uint32_t free_cpus[MULL_CPU_MAX]; /* the best first */
	uint32_t free_cpu_count;
};

/* Where a description stands, and what was complained about already. */
struct manifest_place {
	int line;
	int lines[MANIFEST_FIELDS]; /* 0: the word is not there */
	bool said[MANIFEST_FIELDS];
};

struct manifest_part;

struct manifest {
	char *file; /* as the user named it; NULL: made from options */
	const struct manifest_target *target; /* NULL: it makes all */
	struct mull_machine machine;
	struct manifest_place machine_place;
	size_t vm_count;
	struct mull_vm vms[MULL_VM_MAX];
	struct manifest_place places[MULL_VM_MAX];
	size_t image_count;
	struct manifest_image images[MULL_IMAGE_MAX];
	struct manifest_part *parts; /* that VMs have in schedules */
	size_t part_count;
	struct mistakes mistakes;
};

/* What a VM is before its manifest says anything. */
extern const struct mull_vm manifest_default_vm;
extern const struct mull_machine manifest_default_machine;

/* Reads @file with all its mistakes; manifest_free in every case. */
void manifest_read(struct manifest *manifest, const char *file);

/* Reads @file with a single VM for @target; manifest_free in every case. */
void manifest_read_one(struct manifest *manifest, const char *file,
		       const struct manifest_target *target);

struct manifest_module {
	char *path;
	const struct mull_image_status *there; /* in its place */
	char words[sizeof(((struct mull_module *)0)->words)];
};

/* What a VM loads, before the files are looked at. */
struct manifest_files {
	char *kernel, *initrd; /* paths, NULL: none */
	uint32_t type;	       /* enum mull_image_kind; 0: as the file is */
	/* In their places: images of the hypervisor. */
	const struct mull_image_status *kernel_there, *initrd_there;
	uint32_t module_count;
	struct manifest_module modules[MULL_MODULE_MAX];
	char *disks[MULL_DISK_MAX];
	const struct mull_image_status *disks_there[MULL_DISK_MAX];
	int disk_lines[MULL_DISK_MAX]; /* where each stands */
};

/* Finds the files of VM @vm and enters them; takes over the paths. */
void manifest_add_files(struct manifest *manifest, size_t vm,
			struct manifest_files *files);

/* The rules that hold between words, and those of the shared checker. */
void manifest_check(struct manifest *manifest);

/* Adds a mistake of VM @vm, MULL_MACHINE_ITSELF or MANIFEST_ITSELF at @line,
 * or where @field stands when @line is 0. */
void manifest_complain(struct manifest *manifest, int vm, int line,
		       enum mull_field field, const char *format, ...)
	__attribute__((format(printf, 5, 6)));

/* Processors that the machine must have: those said and those used. */
uint32_t manifest_cpus_needed(const struct manifest *manifest);
/* Bytes of memory of all VMs. */
uint64_t manifest_memory(const struct manifest *manifest);

void manifest_free(struct manifest *manifest);

#endif
