#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "daguerre/core/error.hpp"
#include "daguerre/pipeline/embedding.hpp"
#include "order.hpp"

namespace daguerre::cli {
namespace {

/// Runs `set`; what it throws becomes a complaint about the option.
template <class Set>
bool accepted(const char* option, const Set& set) {
  try {
    set();
  } catch (const Error& error) {
    throw CLI::ValidationError(option, error.message());
  }
  return true;
}

}  // namespace

void add_language_options(CLI::App& app, Order& order) {
  auto& request = order.request;
  app.add_option_function<std::string>(
         "--prompt-syntax",
         [&request](const std::string& name) {
           (void)accepted("--prompt-syntax", [&] { request.prompt_syntax = prompt_syntax(name); });
         },
         "Whose language the prompts are in: plain; a1111, with (x:1.3), [x], BREAK, [from:to:when], [a|b], "
         "AND "
         "and <lora:name:weight>; comfyui, with (x:1.3) and embedding:name; compel, with word++ and "
         "(words)1.3")
      ->type_name("NAME")
      ->default_str("plain")
      ->group(groups::how);
  app.add_option_function<std::string>(
         "--emphasis",
         [&request](const std::string& name) {
           (void)accepted("--emphasis", [&] { request.emphasis = emphasis(name); });
         },
         "What weights do in a1111's language: Original, \"No norm\", Ignore or None")
      ->type_name("MODE")
      ->default_str("Original")
      ->group(groups::how);
  app.add_option_function<std::vector<std::string>>(
         "--embedding",
         [&request](const std::vector<std::string>& files) {
           for (const auto& file : files)
             (void)accepted("--embedding", [&] { request.embeddings.push_back(Embedding::load(file)); });
         },
         "A textual inversion that the prompts name: the file's name without its ending, or the token in it. "
         "May be given again and again")
      ->check(file_name())
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
      ->type_name("FILE.safetensors")
      ->group(groups::how);
  app.add_option_function<std::string>(
         "--embedding-dir",
         [&request](const std::string& folder) {
           (void)accepted("--embedding-dir", [&] {
             auto all = load_embeddings(folder);
             request.embeddings.insert(request.embeddings.end(), all.begin(), all.end());
           });
         },
         "Where textual inversions lie that the prompts may name")
      ->check(file_name())
      ->type_name("DIR")
      ->group(groups::how);
}

}  // namespace daguerre::cli
