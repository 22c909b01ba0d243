/* SPDX-License-Identifier: MIT */
#include <mullion/error.h>

const char *error_text(enum error error)
{
	switch (error) { /* no default: -Wswitch names a missing case */
	case ERR_NONE:
		return "success";
	case ERR_NO_MEMORY:
		return "no free memory";
	case ERR_BAD_ADDRESS:
		return "address is outside the guest's memory";
	case ERR_BAD_REQUEST:
		return "the request breaks a rule";
	case ERR_TRUNCATED:
		return "the data ends too early";
	case ERR_BAD_CHECKSUM:
		return "the CRC-32 does not match";
	case ERR_BAD_HASH:
		return "the SHA-256 does not match";
	case ERR_BAD_IMAGE:
		return "not an image of this kind";
	case ERR_NOT_FOUND:
		return "not found";
	case ERR_UNSUPPORTED:
		return "not supported here";
	case ERR_VERSION:
		return "another version of the format";
	case ERR_TOO_LARGE:
		return "too large for where it should go";
	case ERR_BUSY:
		return "in use";
	case ERR_NOT_MAPPED:
		return "the guest has no translation for the address";
	case ERR_BAD_INSTRUCTION:
		return "an instruction that is not emulated";
	case ERR_TIMEOUT:
		return "no answer in time";
	case ERR_EXISTS:
		return "the name is taken";
	case ERR_WRONG_STATE:
		return "not possible in the state that it is in";
	case ERR_DEVICE:
		return "the device has failed";
	case ERR_COUNT:
		break;
	}
	return "unknown error";
}
