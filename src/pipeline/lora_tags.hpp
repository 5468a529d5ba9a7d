#pragma once

#include "daguerre/pipeline/request.hpp"

namespace daguerre {

/// The request with the LoRAs that its prompts name, `<lora:name:weight>` of the web UI's language and
/// `withLora(name, weight)` of compel's, among its own; the web UI's tags are taken out of the prompts, the
/// negative ones apart, where they are words. What several prompts name alike counts once. Throws
/// ArgumentError for tags of other networks, numbers that are none, a prompt of more than 128 KiB in a prompt
/// language, `withLora` in a negative prompt, and what `find` throws for names.
Request with_named_loras(const Request& request, const FindLora& find);

}  // namespace daguerre
