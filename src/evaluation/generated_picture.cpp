#include "daguerre/evaluation/generated_picture.hpp"

#include <random>
#include <utility>

#include "daguerre/core/error.hpp"

namespace daguerre::evaluation {

std::vector<GeneratedItem> generated_items(const PromptSuite& suite, Index count, std::uint64_t seed,
                                           PromptOrder order) {
  if (suite.prompts.empty() || count < 1)
    throw ArgumentError(
        "items", std::to_string(count) + " pictures of " + std::to_string(suite.prompts.size()) + " prompts");
  // The distributions of <random> differ from library to library; the generator itself does not.
  std::mt19937 generator(static_cast<std::uint32_t>(seed));
  std::vector<GeneratedItem> result;
  for (Index i = 0; i < count; ++i) {
    const auto place = static_cast<std::size_t>(i);
    const auto number = order == PromptOrder::drawn ? std::size_t{generator()} : place;
    const auto& prompt = suite.prompts[number % suite.prompts.size()];
    result.push_back({prompt.text, prompt.category, seed + place});
  }
  return result;
}

PictureMaker PictureMaker::of(Pipeline pipeline, Request request, std::string settings) {
  request.output.count = 1;
  request.output.latents = false;
  return {std::move(settings), [pipeline = std::move(pipeline), request = std::move(request)](
                                   const GeneratedItem& item, std::stop_token stop) {
            auto one = request;
            one.prompt = item.prompt;
            one.sampling.seed = item.seed;
            one.stop = std::move(stop);
            auto made = pipeline.generate(one);
            if (made.images.size() != 1)
              throw ArgumentError("items", "the model made " + std::to_string(made.images.size()) +
                                               " pictures of one prompt, expected one");
            return std::move(made.images.front());
          }};
}

}  // namespace daguerre::evaluation
