#include "pipeline/infotext.hpp"

#include "daguerre/media/infotext.hpp"

namespace daguerre {

std::vector<std::pair<std::string, std::string>> request_parameters(const Request& request,
                                                                    const Task& task) {
  std::vector<std::pair<std::string, std::string>> result;
  const auto add = [&](const char* key, const std::string& value) { result.emplace_back(key, value); };
  const auto text = [&](const char* key, const std::optional<std::string>& value) {
    if (value) add(key, *value);
  };
  text("Prompt 2", request.prompt_2);
  text("Prompt 3", request.prompt_3);
  text("Negative prompt 2", request.negative_prompt_2);
  text("Negative prompt 3", request.negative_prompt_3);
  if (request.max_sequence_length) add("Max sequence length", std::to_string(*request.max_sequence_length));
  // Where the form of the text loses something of them, and that there is an empty one.
  const auto plain = parse_infotext(to_string({request.prompt,
                                               request.negative_prompt.value_or(""),
                                               {{"Steps", "1"}, {"Seed", "0"}, {"Size", "1x1"}}}));
  if (plain.prompt != request.prompt) add("Exact prompt", request.prompt);
  if (request.negative_prompt &&
      (request.negative_prompt->empty() || plain.negative_prompt != *request.negative_prompt))
    add("Exact negative prompt", *request.negative_prompt);
  if (const auto& rewrite = request.rewrite) {
    add("Original prompt", rewrite->original);
    add("Rewriter", rewrite->rewriter);
    add("Rewrite instruction", rewrite->instruction);
    if (!rewrite->remark.empty()) add("Rewrite remark", rewrite->remark);
    add("Rewrite seed", std::to_string(rewrite->seed));
    add("Rewrite seconds", number(rewrite->seconds));
    if (!rewrite->failure.empty()) add("Rewrite failure", rewrite->failure);
  }

  const auto size = [&](const char* key, const std::optional<Extent>& value) {
    if (value) add(key, std::to_string((*value)[1]) + "x" + std::to_string((*value)[0]));
  };
  const MicroConditioning usual;
  const auto& micro = request.micro;
  size("Original size", micro.original_size);
  if (micro.crop_top_left != usual.crop_top_left) size("Crop", micro.crop_top_left);
  size("Target size", micro.target_size);
  size("Negative original size", micro.negative_original_size);
  size("Negative crop", micro.negative_crop_top_left);
  size("Negative target size", micro.negative_target_size);
  if (micro.aesthetic_score != usual.aesthetic_score) add("Aesthetic score", number(micro.aesthetic_score));
  if (micro.negative_aesthetic_score != usual.negative_aesthetic_score)
    add("Negative aesthetic score", number(micro.negative_aesthetic_score));

  if (request.guidance.guider) add("Guider", "given");
  if (!request.sampling.noise.empty() || !request.input.latents.empty()) add("Initial noise", "given");
  if (task.denoising_start) add("Denoising start", number(*task.denoising_start));
  if (task.denoising_end) add("Denoising end", number(*task.denoising_end));
  if (!task.reference.empty()) add("Reference image", "given");
  return result;
}

}  // namespace daguerre
