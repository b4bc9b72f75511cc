package main

import (
	"fmt"
	"time"
)

// answerTime bounds the time in which both models of a chat page answer.
const answerTime = 2 * time.Minute

// ask opens the chat page of `qlora serve` at an address, sends a message as a person does,
// waits for the answers of both models, and writes a picture of the page. It fails if a
// model answers with an error or with nothing.
func ask(chromium, address, message, file string) error {
	b, err := open(chromium)
	if err != nil {
		return err
	}
	defer b.close()
	if err := b.view(view{Width: 1000, Height: 620}); err != nil {
		return err
	}
	if err := b.visit(address); err != nil {
		return err
	}
	if err := b.await(`document.getElementById("status").textContent === "ready"`, answerTime); err != nil {
		return err
	}
	if _, err := b.evaluate(fmt.Sprintf(`(document.getElementById("message").value = %q, document.getElementById("send").click())`, message)); err != nil {
		return err
	}
	if err := b.await(`document.querySelectorAll(".note[data-done]").length === 2`, answerTime); err != nil {
		return err
	}
	if err := b.await(`document.querySelectorAll(".error").length === 0 && [...document.querySelectorAll(".answer")].every(a => a.textContent !== "")`, time.Second); err != nil {
		shown, _ := b.evaluate(`document.querySelector("main").innerText`)
		return fmt.Errorf("a model did not answer: %v", shown)
	}
	return b.still(file, view{Width: 1000, Height: 620})
}
