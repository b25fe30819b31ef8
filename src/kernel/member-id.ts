/** Names a user in a team or an organization. Ids cannot hold control characters, so no two pairs become one. */
export const memberId = (ownerId: string, userId: string): string => `${ownerId}\u001f${userId}`;
