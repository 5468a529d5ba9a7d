#pragma once

#include <string>
#include <string_view>

#include <daguerre/pipeline/prompt_rewriter.hpp>

namespace daguerre::cli {

/// Whether `text` is the address of a service: http:// or https://.
bool is_address(std::string_view text);

/// Answers by a service that speaks OpenAI's protocol, at `address` + "/chat/completions"
/// ("http://localhost:11434/v1"). The key in the environment's DAGUERRE_API_KEY goes with each question, if
/// there is one, but never over http:// to another machine. Redirects are not followed, answers of more than
/// a mebibyte are refused. The function throws Error where there is no answer. Throws ArgumentError in a
/// program that was built without libcurl, and for such a key.
RewriteAnswer answer_by_service(const std::string& address, const std::string& model);

}  // namespace daguerre::cli
