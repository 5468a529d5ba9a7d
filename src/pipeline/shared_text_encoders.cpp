#include "pipeline/shared_text_encoders.hpp"

#include <algorithm>
#include <filesystem>
#include <map>
#include <mutex>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

namespace daguerre {
namespace {

namespace fs = std::filesystem;

/// The files of a part, links followed, as one text; empty where it has none of its own.
std::string files_of(const ComponentSource& part) {
  if (part.given_weights || part.given_config || part.given_tokenizer.has_value() || part.in_root) return {};
  std::error_code error;
  std::vector<std::string> files;
  for (fs::directory_iterator entry(part.folder, error), end; !error && entry != end;
       entry.increment(error)) {
    files.push_back(fs::canonical(entry->path(), error).string());
    if (error) return {};
  }
  if (error || files.empty()) return {};
  std::sort(files.begin(), files.end());
  std::string result = part.class_name + "\n" + part.variant;
  for (const auto& file : files) result += "\n" + file;
  return result;
}

bool changes_weights(const LoadContext& context) {
  return context.changes && (context.changes->merged || context.changes->added);
}

}  // namespace

struct SharedTextEncoders::State {
  std::mutex mutex;  // also held while one is loaded, so that nobody loads it a second time
  std::map<std::string, std::weak_ptr<const TextEncoder>> present;

  std::shared_ptr<const TextEncoder> get(const std::string& files, const LoadPart<TextEncoder>& load,
                                         const LoadContext& context) {
    if (files.empty() || changes_weights(context)) return load(context);
    const auto key = files + "\n" + std::string(short_name(context.precision)) + " " +
                     std::string(context.compute.engine->name()) + " " +
                     std::to_string(static_cast<int>(context.compute.placement));
    const std::lock_guard lock(mutex);
    if (auto there = present[key].lock()) return there;
    auto made = load(context);
    present[key] = made;
    return made;
  }
};

SharedTextEncoders::SharedTextEncoders() : state_(std::make_shared<State>()) {}

ComponentRegistry SharedTextEncoders::in(const ComponentRegistry& registry) const {
  auto result = registry;
  for (const auto& name : registry.text_encoder_classes())
    result.add_text_encoder(
        name, [registry, state = state_](const ComponentSource& network, const ComponentSource& tokenizer,
                                         const LoadContext& context) {
          auto opened = registry.open_text_encoder(network, tokenizer, context);
          const auto own = files_of(network), words = files_of(tokenizer);
          const auto files = own.empty() || words.empty() ? std::string() : own + "\n" + words;
          opened.load = [state, files, load = std::move(opened.load)](const LoadContext& given) {
            return state->get(files, load, given);
          };
          return opened;
        });
  return result;
}

}  // namespace daguerre
