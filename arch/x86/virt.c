/* SPDX-License-Identifier: MIT */
/* The back ends of this build. */
#include "svm/svm.h"
#include "vmx/vmx.h"
#include <mullion/bits.h>
#include <mullion/virt.h>

const struct virt_ops *const arch_virt[] = { &vmx_ops, &svm_ops };
const size_t arch_virt_count = ARRAY_COUNT(arch_virt);
