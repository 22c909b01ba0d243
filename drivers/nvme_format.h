/* SPDX-License-Identifier: MIT */
/* What an NVMe controller has in its registers and in memory.  NVM Express
 * Base Specification 1.4; the names of its figures are cited. */
#ifndef NVME_FORMAT_H
#define NVME_FORMAT_H

#include <mullion/bits.h>
#include <stdint.h>

/* "Register Definition" */
#define NVME_CAP 0x00
#define NVME_VS 0x08
#define NVME_CC 0x14
#define NVME_CSTS 0x1c
#define NVME_AQA 0x24
#define NVME_ASQ 0x28
#define NVME_ACQ 0x30
#define NVME_DOORBELLS 0x1000

/* "Controller Capabilities" */
#define CAP_MQES BITS(15, 0) /* entries of a queue, less one */
#define CAP_TO BITS(31, 24)  /* 500 ms */
#define CAP_DSTRD BITS(35, 32)
#define CAP_CSS_NVM BIT(37)
#define CAP_MPSMIN BITS(51, 48) /* above 4 KiB */
/* "Controller Configuration" */
#define CC_ENABLE BIT(0)
#define CC_IOSQES(log) ((log) << 16)
#define CC_IOCQES(log) ((log) << 20)
/* "Controller Status" */
#define CSTS_READY BIT(0)
#define CSTS_FATAL BIT(1)

/* "Command Format" */
struct nvme_command {
	uint8_t opcode, flags;
	uint16_t id;
	uint32_t namespace_id;
	uint64_t reserved, metadata;
	uint64_t prp1, prp2;
	uint32_t words[6]; /* dwords 10 to 15 */
};
_Static_assert(sizeof(struct nvme_command) == 64, "NVMe, 'Command Format'");

/* "Completion Queue Entry Layout" */
struct nvme_completion {
	uint32_t result, reserved;
	uint16_t queue_head, queue_id;
	uint16_t id, status; /* with the phase in bit 0 */
};
_Static_assert(sizeof(struct nvme_completion) == 16, "NVMe, 'Completion'");

/* "Opcodes for Admin Commands" */
enum nvme_admin_opcode {
	NVME_CREATE_SQ = 0x01,
	NVME_CREATE_CQ = 0x05,
	NVME_IDENTIFY = 0x06,
	NVME_SET_FEATURES = 0x09,
};

/* "Opcodes for NVM Commands" */
enum nvme_opcode {
	NVME_FLUSH = 0x00,
	NVME_WRITE = 0x01,
	NVME_READ = 0x02,
};

/* "Identify - CNS Values" */
enum nvme_identify {
	NVME_IDENTIFY_NAMESPACE = 0,
	NVME_IDENTIFY_CONTROLLER = 1,
	NVME_IDENTIFY_LIST = 2,
};

#define NVME_FEATURE_QUEUES 7 /* "Number of Queues" */
#define NVME_QUEUE_CONTIGUOUS BIT(0)
#define NVME_QUEUE_INTERRUPTS BIT(1)

/* "Identify Controller Data Structure": bytes */
#define IDENTIFY_MODEL 24
#define IDENTIFY_MODEL_SIZE 40
#define IDENTIFY_MDTS 77
#define IDENTIFY_VWC 525
#define IDENTIFY_VWC_PRESENT BIT(0)
/* "Identify Namespace Data Structure, NVM Command Set Specific": bytes */
#define IDENTIFY_NSZE 0
#define IDENTIFY_FLBAS 26
#define IDENTIFY_FLBAS_FORMAT BITS(3, 0)
#define IDENTIFY_FLBAS_EXTENDED BIT(4)
#define IDENTIFY_LBAF 128 /* + 4 * format */
#define IDENTIFY_LBAF_MS BITS(15, 0)
#define IDENTIFY_LBAF_LBADS BITS(23, 16)
#define IDENTIFY_NSATTR 99
#define IDENTIFY_NSATTR_PROTECTED BIT(0)

#endif
